"""`velatura rerun`: runs the recipe of a result again, and compares the pixels with it."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from velatura.cli import exits
from velatura.cli.destinations import add_force, check_one
from velatura.cli.interrupt import Interrupt
from velatura.cli.jobs import fetch, run_job
from velatura.cli.keeping import acknowledge, kept
from velatura.cli.methods import method_named
from velatura.cli.sources import Sources
from velatura.cli.values import out_path, parse_values
from velatura.client.connection import connected
from velatura.client.outputs import WRITERS, Output, check_format
from velatura.files.images import Image, stripped
from velatura.files.recipes import Made, read_recipes
from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.client import Client
from velatura_protocol.crops import is_of, to_send
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Edit, Recipe


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a result of `velatura edit`, of any format")
    parser.add_argument(
        "--layer",
        type=int,
        default=1,
        metavar="N",
        help="the layer, see `velatura show FILE` (1, the topmost)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="k=v",
        dest="assignments",
        help="another value for a setting, see `velatura methods ID`; may be given several times",
    )
    parser.add_argument("--prompt", metavar="T", help="another prompt")
    parser.add_argument("--seed", type=int, metavar="S", help="another seed (-1: any)")
    parser.add_argument(
        "--source", type=Path, metavar="IN", help="the picture (else found beside FILE, by its pixels)"
    )
    parser.add_argument("--mask", type=Path, metavar="M", help="the mask (else found likewise)")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=FILE",
        dest="inputs",
        help="a further picture of the recipe (else found likewise), see `velatura show FILE`",
    )
    parser.add_argument(
        "--out", type=out_path, metavar="OUT.ora|OUT.png|…", help="write the new result (else only compared)"
    )
    parser.add_argument(
        "--strip",
        action="store_true",
        help="leave out the picture's EXIF, XMP, texts and resolution; the recipe stays",
    )
    add_force(parser)
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="cancel the edit after this time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run, compare=None, quiet=False)


@dataclass
class _Pictures:
    """The pictures of a run. reasons: why its result may be another than the file's."""

    source: Image
    mask: Image | None
    inputs: dict[str, Pixels | None]
    read: list[Path] = field(default_factory=list[Path])
    reasons: list[str] = field(default_factory=list[str])


def run(options: argparse.Namespace) -> int:
    """Find the pictures, run the recipe, compare, and write the result where --out names a file."""
    made = _layer(read_recipes(options.file), options)
    recipe = Recipe.from_wire(made.recipe)
    pictures = _pictures(recipe, options)
    if options.out:
        check_one(options, options.out, [options.file, *pictures.read])
    with (
        Interrupt(options.timeout) as interrupt,
        connected(state_dir(options.state_dir), start=True) as client,
    ):
        known = Catalogue.from_wire(client.methods())
        method = method_named(known, recipe.request.method)
        source = stripped(pictures.source) if options.strip else pictures.source
        if options.out:
            check_format(options.out, source, method.kind.insert)
        edit = _edit(recipe, method, options, pictures.reasons)
        job = _run(client, edit, known, pictures, recipe, interrupt)
        layer = _counterpart(job["result"]["layers"], recipe, method)
        files: list[Path] = []
        if options.out:
            with kept(job, options, interrupt):
                drawn = [fetch(client, job["job"], layer, interrupt)]
                output = Output(options.out, None, [options.file, *pictures.read])
                files = WRITERS[method.kind.insert](output, source, pictures.mask, drawn, job["title"])
        acknowledge(client, job)
    is_same = layer["raster"]["digest"] == made.digest if made.digest else None
    _print(options, job, layer, files, is_same, pictures.reasons)
    return exits.OK


def _layer(layers: list[Made], options: argparse.Namespace) -> Made:
    if not 1 <= options.layer <= len(layers):
        count = f"1 to {len(layers)}" if len(layers) > 1 else "only 1"
        raise VelaturaError("bad-request", f"{options.file.name} has no layer {options.layer}, {count}.")
    return layers[options.layer - 1]


def _pictures(recipe: Recipe, options: argparse.Namespace) -> _Pictures:
    """The pictures of the recipe's inputs. Raises `bad-request` for one that is neither found nor given."""
    files = _named(recipe, options)
    sources = Sources(options.file, recipe.request.canvas)
    read: list[Path] = []
    reasons: list[str] = []
    images: dict[str, Image] = {}
    inputs: dict[str, Pixels | None] = {}
    for name, raster in recipe.request.inputs.items():
        if raster is None:
            inputs[name] = None
            continue
        what = {"source": "picture", "mask": "mask"}.get(name, f"input {name}")
        path = files.get(name)
        if path is not None:
            images[name], pixels = sources.given(path, raster)
            if not is_of(raster, pixels):
                reasons.append(f"the {what} {path} is not the one that the recipe names")
        else:
            found = sources.found(raster)
            if found is None:
                raise _lost(what, name, raster.layer, options.file)
            path, images[name], pixels = found
        read.append(path)
        inputs[name] = pixels
    return _Pictures(images["source"], images.get("mask"), inputs, read, reasons)


def _named(recipe: Recipe, options: argparse.Namespace) -> dict[str, Path]:
    """The files that the person names, by the recipe's inputs."""
    files = {name: path for name, path in (("source", options.source), ("mask", options.mask)) if path}
    for option in options.inputs:
        name, equals, file = option.partition("=")
        if not equals or not file:
            raise VelaturaError("bad-request", f"--input {option} has no file; write --input NAME=FILE.")
        files[name] = Path(file)
    there = [name for name, raster in recipe.request.inputs.items() if raster is not None]
    for name in files:
        if name not in there:
            sentence = f"The recipe has no input {name!r}; it has: {', '.join(there)}."
            raise VelaturaError("bad-request", sentence)
    return files


def _lost(what: str, name: str, layer: str, file: Path) -> VelaturaError:
    option = {"source": "--source FILE", "mask": "--mask FILE"}.get(name, f"--input {name}=FILE")
    called = f", {layer}," if layer else ""
    sentence = (
        f"The {what} of {file.name}{called} is not in its folder, or was changed; give it with {option}."
    )
    return VelaturaError("bad-request", sentence)


def _edit(recipe: Recipe, method: MethodInfo, options: argparse.Namespace, reasons: list[str]) -> Edit:
    """The edit to run; appends to `reasons` how it differs from the recipe."""
    changed = parse_values(method, options.assignments) if options.assignments else {}
    if any(part.kind == "raster" for spec in method.fields if spec.key in changed for part in spec.fields):
        sentence = "A list that names pictures cannot be changed here; use `velatura edit`."
        raise VelaturaError("bad-request", sentence)
    alone = recipe.of_layer() if method.kind.is_edit else recipe
    edit = alone.again(prompt=options.prompt, seed=options.seed, parameters=changed)
    asked = alone.again()
    for title, new, old in (
        ("the prompt", edit.prompt, asked.prompt),
        ("the seed", edit.seed, asked.seed),
        *((f"the setting {key}", value, asked.parameters.get(key)) for key, value in changed.items()),
    ):
        if new != old:
            reasons.append(f"{title} is another, as you asked")
    if edit.method_version != method.version:
        reasons.append(
            f"“{method.title}” has version {method.version} now, and the result was made with "
            f"{edit.method_version}"
        )
        edit = replace(edit, method_version=method.version)
    return edit


def _run(
    client: Client, edit: Edit, known: Catalogue, pictures: _Pictures, recipe: Recipe, interrupt: Interrupt
) -> dict[str, Any]:
    """Run the edit with the recipe's model, or with the model of its id where the files have changed."""
    canvas = recipe.request.canvas

    def run(edit: Edit) -> dict[str, Any]:
        sent = to_send(known, edit, pictures.inputs)
        return run_job(client, edit.on(sent, canvas, lease=True), sent, interrupt)

    try:
        return run(edit)
    except VelaturaError as error:
        if error.code != "unknown-model" or known.model(edit.model) is None or not edit.model_digest:
            raise
    pictures.reasons.append(f"the files of the model {edit.model} have changed")
    return run(replace(edit, model_digest=""))


def _counterpart(layers: list[dict[str, Any]], recipe: Recipe, method: MethodInfo) -> dict[str, Any]:
    """The new layer that stands for the recipe's: the only variation, or the mask of the same number."""
    wanted = 0 if method.kind.is_edit else recipe.variation
    return next((layer for layer in layers if layer["index"] == wanted), layers[0])


def _print(
    options: argparse.Namespace,
    job: dict[str, Any],
    layer: dict[str, Any],
    files: list[Path],
    is_same: bool | None,
    reasons: list[str],
) -> None:
    if is_same is False and not reasons:
        reasons = ["recipe, pictures and model are the same; the computer or Velatura's version is not"]
    if options.json:
        answer = {
            "ok": True,
            "exit": exits.OK,
            "out": str(files[0]) if files else None,
            "job": job["job"],
            "seconds": job["result"]["seconds"],
            "same": is_same,
            "why": [] if is_same else reasons,
            "digest": layer["raster"]["digest"],
            "recipe": layer["recipe"],
        }
        print(json.dumps(answer))
        return
    head = f"{job['title']}, in {job['result']['seconds']:.1f} s."
    print(f"{files[0]}: {head}" if files else head)
    if is_same:
        print(f"The pixels are those of {options.file}, to the bit.")
    elif is_same is None:
        print(f"{options.file} does not tell the digest of its pixels, so they cannot be compared.")
    else:
        print(f"The pixels are not those of {options.file}: {'; '.join(reasons)}.")
