"""`velatura models`: the models an edit can ask for, the default first."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from velatura.cli import exits
from velatura.models import catalogue
from velatura_protocol.paths import state_dir

#: What each companion of a model does, and what there is without it.
COMPANIONS = {
    "clip": ("the CLIP that ranks this model's variations", "variations are ranked by their edges alone"),
    "captioner": ("the BLIP that says what a layer shows", "no captions are proposed"),
    "segmenter": ("the CLIPSeg that selects what is named", "nothing is selected by its name"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print as JSON")
    actions = parser.add_subparsers(dest="action", metavar="list|add|remove")
    actions.add_parser("list", help="list the models, the default first (this is done without a word, too)")
    add = actions.add_parser("add", help="name a model and make it the default")
    add.add_argument("name", metavar="NAME")
    add.add_argument("path", metavar="PATH", help="a folder, a .safetensors file, or owner/name at a hub")
    for name, (what, _) in COMPANIONS.items():
        add.add_argument(
            f"--{name}", default="", metavar="PATH", help=f"{what}: a folder, or owner/name at a hub"
        )
    add.add_argument(
        "--guidance",
        type=_guidance,
        default=catalogue.STABLE_DIFFUSION_GUIDANCE,
        metavar="G",
        help="its prompt strength where none is given, 1 to 20 (%(default)s)",
    )
    remove = actions.add_parser("remove", help="forget a model; its files stay")
    remove.add_argument("name", metavar="NAME")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List, add or remove, then say how things are."""
    folder = state_dir(options.state_dir)
    if options.action == "add":
        companions = {name: getattr(options, name) for name in COMPANIONS}
        catalogue.add(folder, options.name, options.path, **companions, guidance=options.guidance)
    elif options.action == "remove":
        catalogue.remove(folder, options.name)
    models = catalogue.entries(folder)
    if options.json:
        print(json.dumps({"models": [asdict(model) for model in models]}))
        return exits.OK
    for number, model in enumerate(models):
        marks = "" if number else "   (default)"
        marks += "   (its files are gone)" if model.kind == "missing" else ""
        print(f"{model.id:24} {model.size} px  {model.path}{marks}")
        for name, (_, without) in COMPANIONS.items():
            if not getattr(model, name):
                print(f"{'':24} no {catalogue.COMPANIONS[name]}: {without}")
    return exits.OK


def _guidance(text: str) -> float:
    value = float(text)
    if not 1.0 <= value <= 20.0:
        raise argparse.ArgumentTypeError("a number from 1 to 20")
    return value
