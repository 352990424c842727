"""`velatura models`: the models for edits, the default first."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from velatura.cli import exits, teaching
from velatura.companions.table import COMPANIONS
from velatura.generators.protocol import DIFFUSION
from velatura.models import catalogue, finding, hub, model_files, model_list, other_programs, shelves
from velatura.models.adapters import listing
from velatura.models.catalogue import ModelEntry
from velatura.models.control import listing as guides
from velatura.models.recognition import FAMILIES
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print as JSON")
    actions = parser.add_subparsers(dest="action", metavar="list|find|add|change|remove|convert|teach")
    actions.add_parser("list", help="list the models, the default first (also without an action)")
    find = actions.add_parser(
        "find",
        help="find the models and adapters of ComfyUI, InvokeAI, A1111, Forge and the hub's cache; nothing is"
        " copied",
    )
    find.add_argument("folders", metavar="FOLDER", nargs="*", help="further folders, from now on")
    find.add_argument("--forget", action="store_true", help="leave out the folders that you named before")
    add = actions.add_parser("add", help="add a model under a name and make it the default")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "path", metavar="PATH", help="a folder, a .safetensors or .gguf file, or owner/name at a hub"
    )
    add.add_argument("--yes", action="store_true", help="download without a question")
    _properties(add)
    change = actions.add_parser("change", help="change the settings of a model that you have added")
    change.add_argument("name", metavar="NAME")
    _properties(change)
    change.add_argument("--default", action="store_true", help="make it the default")
    remove = actions.add_parser("remove", help="remove a model from the list; its files stay")
    remove.add_argument("name", metavar="NAME")
    convert = actions.add_parser(
        "convert",
        help="write the network in a checkpoint of StyleGAN2, taming-transformers or guided diffusion to a"
        " folder",
    )
    convert.add_argument(
        "checkpoint", metavar="CKPT", help="the file (.pkl, .pt, .ckpt, .safetensors); no code in it is run"
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


def _properties(parser: argparse.ArgumentParser) -> None:
    """Add the options for a model's companions and settings; one that is not given changes nothing."""
    where = "a folder, or owner/name at a hub; '' for none"
    for name, companion in COMPANIONS.items():
        parser.add_argument(f"--{name}", metavar="PATH", help=f"{companion.use}: {where}")
    parser.add_argument(
        "--guidance",
        type=_guidance,
        metavar="G",
        help="its default prompt strength, 1 to 20 (default: as its family has it)",
    )
    parser.add_argument(
        "--vae", metavar="PATH", help="another autoencoder (VAE), a file or a folder; '' for its own"
    )
    parser.add_argument(
        "--prediction",
        choices=["", *model_list.PREDICTIONS],
        help="what a Stable Diffusion model was trained to predict, where its files do not say it",
    )
    parser.add_argument(
        "--clip-skip",
        type=int,
        choices=range(model_list.MOST_SKIPPED + 1),
        metavar="N",
        help="leave out the last N layers of its CLIP text encoders",
    )
    parser.add_argument(
        "--dtype",
        choices=["", *model_list.DTYPES],
        help="the precision of its networks (default: by its kind and your card)",
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
    if options.action == "find":
        return _find(folder, options)
    if options.action == "add":
        _add(folder, options)
    elif options.action == "change":
        catalogue.change(folder, options.name, **_given(options), first=options.default)
    elif options.action == "remove":
        catalogue.remove(folder, options.name)
    models = catalogue.entries(folder)
    if options.json:
        print(json.dumps({"models": [_as_json(model) for model in models]}))
        return exits.OK
    seen: set[str] = set()
    for model in models:
        marks = "" if model.generator in seen else _default_mark(model)
        seen.add(model.generator)
        marks += "   (cannot be used)" if model.fault else ""
        print(f"{model.id:24} {model.size} px  {model.path}{marks}")
        if model.fault:
            print(f"{'':24} {model.fault}")
            continue
        for name, companion in COMPANIONS.items():
            if companion.without and name not in model.companions:
                print(f"{'':24} no {companion.title}: {companion.without}")
    return exits.OK


def _default_mark(model: ModelEntry) -> str:
    """The mark of the first model of its kind, with which a method for this kind edits by default."""
    return "   (default)" if model.generator == DIFFUSION else "   (default of its kind)"


def _find(folder: Path, options: argparse.Namespace) -> int:
    """List the models that other programs keep on this computer, which both hosts offer then."""
    seen = finding.refresh(folder, options.folders, forget=options.forget)
    if options.json:
        able = [_as_json(model) for model in catalogue.entries(folder) if model.found]
        lacking = {one.id: one.note for one in seen if one.note}
        adapters = [{**one._asdict(), "path": str(one.path)} for one in listing.listed(folder)]
        led = [
            {**one._asdict(), "path": str(one.path), "encoder": str(one.encoder or "")}
            for one in guides.listed(folder).guides
        ]
        print(json.dumps({"models": able, "lacking": lacking, "adapters": adapters, "guides": led}))
        return exits.OK
    for line in finding.listed(seen):
        print(line)
    for one in listing.listed(folder):
        kind = f"write {one.word} in a prompt of" if one.word else "adapter for"
        print(f"{one.title:40} {kind} {FAMILIES[one.family].title}")
    for one in guides.listed(folder).guides:
        kind = "guide (ControlNet)" if one.kind == guides.CONTROL else "look (IP-Adapter)"
        lacks = "; its image encoder is missing" if one.kind == guides.LOOK and not one.encoder else ""
        print(f"{one.title:40} {kind} for {FAMILIES[one.family].title}{lacks}")
    able = sum(not one.note for one in seen)
    print(
        f"{able} of {len(seen)} models can edit; Krita and GIMP offer them now."
        if seen
        else "No models were found; name their folder with `velatura models find FOLDER`."
    )
    return exits.OK


def _add(folder: Path, options: argparse.Namespace) -> None:
    """Add a model, and say what it is, what it costs and what it lacks; a download is asked for first."""
    given = _given(options)
    path = options.path
    if catalogue.kind_of(path) == "hub" and hub.whole(path) is None:
        plan = hub.plan(path)
        question = (
            f"Download {plan.size / model_files.GiB:.1f} GiB of {path} into {other_programs.hub_cache()}?"
        )
        if not options.yes and not _agreed(question):
            raise VelaturaError("bad-request", f"{path} was not downloaded; add --yes to download it.")
        hub.fetch(plan)
    shelved = shelves.Shelves(finding.all_shelves(folder))
    entry = catalogue.add(folder, options.name, path, shelves=shelved, **given)
    if entry.found is not None and not options.json:
        for line in model_files.described(entry.found, model_files.weights(entry.found)):
            print(f"{entry.id}: {line}")


def _agreed(question: str) -> bool:
    """Whether the person says yes at the terminal; no where there is none."""
    if not sys.stdin.isatty():
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _as_json(model: ModelEntry) -> dict[str, Any]:
    """An entry as JSON; its companions are keys beside its other properties, '' for those it lacks.

    Its files are `family`, `traits`, `parts` and `missing`, where it is of a family that Velatura loads.
    """
    entry = {field.name: getattr(model, field.name) for field in fields(model)}
    companions, found = entry.pop("companions"), model.found
    del entry["found"]
    if found is not None:
        entry |= {"family": found.family, "traits": sorted(found.traits), "missing": [*found.missing]}
        entry |= {"prediction": found.prediction, "clip_skip": found.clip_skip}
        entry["parts"] = {name: str(path) for name, path in found.parts.items()}
    return entry | {name: companions.get(name, "") for name in COMPANIONS}


def _given(options: argparse.Namespace) -> dict[str, Any]:
    named = {name: getattr(options, name) for name in COMPANIONS}
    companions = {name: place for name, place in named.items() if place is not None}
    settings = {
        name: getattr(options, name) for name in ("guidance", "vae", "prediction", "clip_skip", "dtype")
    }
    return {"companions": companions, **settings}


def _guidance(text: str) -> float:
    value = float(text)
    if not 1.0 <= value <= 20.0:
        raise argparse.ArgumentTypeError("a number from 1 to 20")
    return value
