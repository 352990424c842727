"""`velatura models`: the models for edits, the default first."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from velatura.cli import exits, teaching
from velatura.companions.table import COMPANIONS
from velatura.models import catalogue
from velatura.models.catalogue import ModelEntry
from velatura_protocol.paths import state_dir


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print as JSON")
    actions = parser.add_subparsers(dest="action", metavar="list|add|change|remove|convert|teach")
    actions.add_parser("list", help="list the models, the default first (also without an action)")
    add = actions.add_parser("add", help="add a model under a name and make it the default")
    add.add_argument("name", metavar="NAME")
    add.add_argument("path", metavar="PATH", help="a folder, a .safetensors file, or owner/name at a hub")
    _properties(add, catalogue.STABLE_DIFFUSION_GUIDANCE)
    change = actions.add_parser("change", help="change the settings of a model that you have added")
    change.add_argument("name", metavar="NAME")
    _properties(change, None)
    change.add_argument("--default", action="store_true", help="make it the default")
    remove = actions.add_parser("remove", help="remove a model from the list; its files stay")
    remove.add_argument("name", metavar="NAME")
    convert = actions.add_parser(
        "convert",
        help="write the network in a checkpoint of guided diffusion or of taming-transformers to a folder",
    )
    convert.add_argument(
        "checkpoint", metavar="CKPT", help="the file, pickled or .safetensors; it is read as weights alone"
    )
    convert.add_argument(
        "folder", metavar="FOLDER", help="a new folder, to be added with `velatura models add`"
    )
    convert.add_argument(
        "--class",
        dest="label",
        type=int,
        metavar="N",
        help="fix a network with classes to this one (default: the mean of all)",
    )
    teaching.configure(
        actions.add_parser("teach", help="teach a style-based generator the parts of its pictures")
    )
    parser.set_defaults(run=run)


def _properties(parser: argparse.ArgumentParser, guidance: float | None) -> None:
    """Add the options for a model's companions and guidance.

    guidance: the default; None leaves every property unchanged that is not given.
    """
    where = "a folder, or owner/name at a hub" + ("" if guidance else "; '' for none")
    for name, companion in COMPANIONS.items():
        parser.add_argument(f"--{name}", metavar="PATH", help=f"{companion.use}: {where}")
    parser.add_argument(
        "--guidance",
        type=_guidance,
        default=guidance,
        metavar="G",
        help="its default prompt strength, 1 to 20" + (f" ({guidance})" if guidance else ""),
    )


def run(options: argparse.Namespace) -> int:
    """List, add, change, remove, convert or teach models; all but the last two then print the list."""
    folder = state_dir(options.state_dir)
    if options.action == "convert":
        from velatura.models import converting  # imports torch

        converting.convert(Path(options.checkpoint), Path(options.folder), options.label)
        print(f"Written to {options.folder}; name it with `velatura models add NAME {options.folder}`.")
        return exits.OK
    if options.action == "teach":
        teaching.run(options)
        return exits.OK
    if options.action == "add":
        catalogue.add(folder, options.name, options.path, **_given(options))
    elif options.action == "change":
        catalogue.change(folder, options.name, **_given(options), first=options.default)
    elif options.action == "remove":
        catalogue.remove(folder, options.name)
    models = catalogue.entries(folder)
    if options.json:
        print(json.dumps({"models": [_as_json(model) for model in models]}))
        return exits.OK
    for number, model in enumerate(models):
        marks = "" if number else "   (default)"
        marks += "   (cannot be used)" if model.fault else ""
        print(f"{model.id:24} {model.size} px  {model.path}{marks}")
        if model.fault:
            print(f"{'':24} {model.fault}")
            continue
        for name, companion in COMPANIONS.items():
            if companion.without and name not in model.companions:
                print(f"{'':24} no {companion.title}: {companion.without}")
    return exits.OK


def _as_json(model: ModelEntry) -> dict[str, Any]:
    """An entry as JSON; its companions are keys beside its other properties, '' for those it lacks."""
    entry = asdict(model)
    companions = entry.pop("companions")
    return entry | {name: companions.get(name, "") for name in COMPANIONS}


def _given(options: argparse.Namespace) -> dict[str, Any]:
    named = {name: getattr(options, name) for name in COMPANIONS}
    companions = {name: place for name, place in named.items() if place is not None}
    return {"companions": companions, "guidance": options.guidance}


def _guidance(text: str) -> float:
    value = float(text)
    if not 1.0 <= value <= 20.0:
        raise argparse.ArgumentTypeError("a number from 1 to 20")
    return value
