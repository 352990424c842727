"""`velatura edit`: one edit of a picture file, by the daemon."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from velatura.cli import exits
from velatura.cli.destinations import add_destinations, check_destinations, named
from velatura.cli.dials import named_or_shared
from velatura.cli.hints import with_a_hint
from velatura.cli.inputs import parse_inputs, parse_item, read_inputs
from velatura.cli.interrupt import Interrupt
from velatura.cli.jobs import fetch, run_job
from velatura.cli.keeping import acknowledge, kept
from velatura.cli.many import Asked, Steps, edit_many
from velatura.cli.methods import METHODS, method_named
from velatura.cli.results import print_files, print_texts
from velatura.cli.streams import deliver, streams
from velatura.cli.values import need_dials, out_path, parse_adapter, parse_dial, parse_values
from velatura.client.connection import connected
from velatura.client.outputs import WRITERS, Output, check_format
from velatura.client.requests import inputs_of
from velatura.client.running import proposal, proposed
from velatura.files.images import Image, stripped
from velatura.files.reading import read_image, read_mask
from velatura.files.writing import NAMES, caution
from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.choices import resolve
from velatura_protocol.client import Client
from velatura_protocol.crops import to_send
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.results import best_first


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "pictures",
        metavar="IN",
        nargs="+",
        help="PNG, JPEG, WebP, TIFF, EXR, PSD, ORA or KRA; several with --out-dir; - for standard input",
    )
    parser.add_argument(
        "--layer",
        default="",
        metavar="NAME",
        help="edit this layer of a PSD or an ORA (left out: the merged picture)",
    )
    parser.add_argument(
        "--method",
        default="",
        metavar="ID",
        help="see `velatura methods` (the first that edits; with dials, the first that has dials)",
    ).complete = METHODS  # pyright: ignore[reportAttributeAccessIssue]  shtab's way
    parser.add_argument(
        "--mask",
        metavar="M",
        type=Path,
        help="a picture of the same size; white is edited. For several pictures also a folder, in which each "
        "has its mask under its own name, with any ending",
    )
    parser.add_argument("--prompt", default="", metavar="T", help="what should be there")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="k=v",
        dest="assignments",
        help="see `velatura methods ID`",
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=FILE",
        dest="inputs",
        help="a further picture for the method, see `velatura methods ID`; may be given several times",
    )
    parser.add_argument(
        "--item",
        action="append",
        default=[],
        metavar="LIST:k=v,…",
        dest="items",
        help='an entry of a list, as in --item "concepts:text=hat,where=hat.png"; pictures are files; may be '
        "given several times",
    )
    parser.add_argument(
        "--dial",
        action="append",
        default=[],
        metavar="FROM=>TO:N",
        dest="turned",
        help='a dial and how far to turn it: "short=>long:60", "beard:-60" (less beard), "hat=>" (no hat); '
        "may be given several times",
    )
    parser.add_argument(
        "--dials",
        default="",
        metavar="FILE|NAME",
        help="dials of a file, or saved under a name (see `velatura dials`)",
    )
    parser.add_argument(
        "--adapter",
        action="append",
        default=[],
        metavar="NAME[:N]",
        dest="adapters",
        help="an adapter (LoRA, textual inversion) that `velatura models find` lists, and its strength in "
        "per cent (below 0 the other way); may be given several times",
    )
    parser.add_argument("--variations", type=int, default=1, metavar="N", help="the number of results (1)")
    parser.add_argument(
        "--seed", type=int, default=-1, metavar="S", help="the same seed gives the same result (-1: any)"
    )
    parser.add_argument("--model", default="", metavar="ID", help="see `velatura models` (the first)")
    parser.add_argument(
        "--out",
        type=out_path,
        metavar="OUT.ora|OUT.png|…",
        help=f"the result, in {NAMES}. ora and psd: the source and the variations as layers, the best on "
        "top; the others: the source with the best variation. All but jpg and webp have the source's own "
        "depth. For a method that selects, ora and psd: the source and each mask as white paint; png: a "
        "greyscale picture, or one for each word, OUT-word.png. Methods that describe need no file. "
        "- for standard output",
    )
    add_destinations(parser)
    parser.add_argument(
        "--strip",
        action="store_true",
        help="leave out the picture's EXIF, XMP, texts and resolution; the recipe stays",
    )
    parser.add_argument(
        "--convert",
        action="store_true",
        help="of a picture in CMYK or Lab, edit an RGB copy; else it is refused",
    )
    parser.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="cancel the edit after this time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Edit one picture or many; print where the results lie."""
    pictures = named(options.pictures)
    if options.out_dir is not None or len(pictures) > 1:
        return edit_many(options, pictures, Steps(_asked, _read, _edit))
    with streams(options, pictures[0]) as one:
        check_destinations(one)
        source = _read(one)
        with (
            Interrupt(options.timeout) as interrupt,
            connected(state_dir(options.state_dir), start=True) as client,
        ):
            return _edit(one, _asked(one, Catalogue.from_wire(client.methods())), source, client, interrupt)


def _read(options: argparse.Namespace) -> tuple[Image, Image | None]:
    """The picture and its mask."""
    source = read_image(options.picture, layer=options.layer, convert=options.convert)
    if options.strip:
        source = stripped(source)
    mask = read_mask(options.mask) if options.mask else None
    if mask and (mask.width, mask.height) != (source.width, source.height):
        raise VelaturaError(
            "bad-request",
            f"The mask {options.mask} is {mask.width} x {mask.height} and the picture {source.width} x "
            f"{source.height}; make the mask the picture's size.",
        )
    if mask and not mask.pixels.any():
        sentence = f"Nothing is selected: {options.mask} has no white. White is edited; black and clear stay."
        raise VelaturaError("empty-mask", sentence)
    return source, mask


def _asked(options: argparse.Namespace, known: Catalogue) -> Asked:
    """The edit that the options ask for, without its picture."""
    method = method_named(known, options.method) if options.method else _first(known, options)
    _check_outputs(options, method.title, method.kind.insert == "texts")
    items = [parse_item(method, item) for item in options.items]
    items += [parse_adapter(method, option) for option in options.adapters]
    values = parse_values(method, options.assignments, _dials(options, method), items)
    chosen = values | parse_inputs(method, options.inputs)
    parameters, wanted = resolve(method.title, method.form, chosen)
    edit = method.edit(
        options.prompt,
        parameters,
        model=options.model,
        seed=options.seed,
        variations=options.variations,
    )
    return Asked(known, method, edit, wanted)


def _edit(
    options: argparse.Namespace,
    asked: Asked,
    pictures: tuple[Image, Image | None],
    client: Client,
    interrupt: Interrupt,
) -> int:
    """Edit one picture, write and print the result."""
    known, method, edit, (source, mask) = asked.known, asked.method, asked.edit, pictures
    if options.out:
        check_format(options.out, source, method.kind.insert)
    names = (Path(options.picture).name, options.mask.name if options.mask else "")
    inputs, canvas = inputs_of(source, mask, names), (source.width, source.height)
    inputs |= read_inputs(asked.wanted, source, convert=options.convert)
    draft = proposal(edit, method, known)
    if draft is not None:
        shown = {"source": inputs["source"], "mask": None}
        request = draft.edit.on(shown, canvas, lease=True, draft=True)
        hint = f'--set {draft.key}="…"'
        caption = proposed(run_job(client, request, shown, interrupt, is_quiet=options.quiet), hint)
        if not options.quiet:
            print(f'{draft.title}, as proposed: "{caption}". To give another: {hint}', file=sys.stderr)
        edit = replace(edit, parameters={**edit.parameters, draft.key: caption})
    try:
        inputs = to_send(known, edit, inputs)  # the whole layer's memory is free from here on
        request = edit.on(inputs, canvas, lease=True)
        job = run_job(client, request, inputs, interrupt, is_quiet=options.quiet)
    except VelaturaError as error:
        raise with_a_hint(error, edit, method) from error
    if method.kind.insert == "texts":
        print_texts(job, as_json=options.json)
        acknowledge(client, job)
        return exits.OK
    results = best_first(job["result"]["layers"])
    with kept(job, options, interrupt):
        layers = [fetch(client, job["job"], layer, interrupt) for layer in results]
        output = Output(options.out, options.compare, (options.picture, options.mask), options.force)
        files = WRITERS[method.kind.insert](output, source, mask, layers, job["title"])
        deliver(options, files)
    acknowledge(client, job)
    if options.json or not (options.quiet or options.standard):
        losses = caution(options.out, source)
        print_files(job, results, files, options.compare, losses, as_json=options.json)
    return exits.OK


def _first(known: Catalogue, options: argparse.Namespace) -> MethodInfo:
    """The method where none is named: the first that edits; where a dial is given, the first with dials."""
    chosen = known.dialler if options.turned or options.dials else known.first_edit
    if chosen is None:
        raise VelaturaError("unknown-method", "No method of this daemon can do that; update Velatura.")
    return chosen


def _dials(options: argparse.Namespace, method: MethodInfo) -> list[dict[str, Any]]:
    """The dials of --dials, then those of --dial."""
    saved: list[dict[str, Any]] = []
    if options.dials:
        saved = named_or_shared(state_dir(options.state_dir), options.dials, need_dials(method))
    return [*saved, *map(parse_dial, options.turned)]


def _check_outputs(options: argparse.Namespace, title: str, is_text: bool) -> None:
    """Raise `bad-request` for a file where the method writes text, and for no file where it needs one."""
    if is_text and (options.out or options.compare):
        raise VelaturaError(
            "bad-request", f"{title} prints text and makes no picture; leave out --out and --compare."
        )
    if not is_text and not options.out:
        sentence = f"{title} makes a picture; name a file for it with --out, or a folder with --out-dir."
        raise VelaturaError("bad-request", sentence)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError("give a number of seconds above 0")
    return seconds
