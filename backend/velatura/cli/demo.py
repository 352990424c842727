"""`velatura demo`: what Velatura does, on the portrait that ships, in one sheet and one layered file."""

from __future__ import annotations

import argparse
import json
import time
import uuid
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from velatura.cli import exits
from velatura.cli.connection import connected
from velatura.cli.progress import Progress
from velatura.cli.requests import inputs_of
from velatura.files.images import Image, Layer, read_image, read_mask
from velatura.files.masks import as_paint
from velatura.files.ora import Group, write_groups
from velatura.files.sheet import Row, write_sheet
from velatura.samples import SAMPLES
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.requests import Edit, blobs
from velatura_protocol.results import best_first

SEED = 7
OUT = Path("velatura-demo")


@dataclass(frozen=True)
class Shown:
    """One way of editing, on the sample. layers: the best first; of a dial, one a share."""

    title: str
    caption: str
    labels: tuple[str, ...]
    layers: tuple[Layer, ...]
    mask: Image | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"where to write; {OUT}")
    parser.add_argument("--open", action="store_true", help="open the sheet in what the desktop has for it")
    parser.add_argument("--seed", type=int, metavar="S", help="of every edit, in place of the demo's own")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Edit the sample in every way, write sheet and layers, say where they lie."""
    samples = json.loads((SAMPLES / "samples.json").read_text("utf-8"))
    entries = json.loads((SAMPLES / "demo.json").read_text("utf-8"))
    source = read_image(SAMPLES / samples["portrait"]["file"])
    options.out.mkdir(parents=True, exist_ok=True)
    sheet, layered = options.out / "demo.png", options.out / "demo.ora"
    began = time.monotonic()
    with connected(state_dir(options.state_dir), start=True) as client:
        shown = [_shown(client, source, entry, options.seed) for entry in entries]
    write_sheet(sheet, source, [Row(s.title, s.caption, s.labels, s.layers, s.mask) for s in shown])
    groups = [
        Group(f"{s.title}: {s.caption}", [_painted(layer, source) for layer in s.layers]) for s in shown
    ]
    write_groups(layered, source, groups, "Velatura")
    print(f"{len(shown)} ways to edit, in {time.monotonic() - began:.0f} s:")
    print(f"  {sheet}    what each of them does")
    print(f"  {layered}    the same as layers, for Krita or GIMP")
    if options.open and not webbrowser.open(sheet.resolve().as_uri()):
        print("Nothing here opens pictures; open the sheet yourself.")
    return exits.OK


def _shown(client: Client, source: Image, entry: dict, seed: int | None) -> Shown:
    seed = entry.get("seed", SEED) if seed is None else seed
    mask = read_mask(SAMPLES / entry["mask"]) if "mask" in entry else None
    layers: list[Layer] = []
    labels: list[str] = []
    for label, values in _settings(entry):
        done = _edited(client, source, mask, entry, values, seed)
        layers += done if not label else done[:1]
        labels += [label] if label else [""] * len(done)
    return Shown(entry["title"], entry["told"], tuple(labels), tuple(layers), mask)


def _painted(layer: Layer, source: Image) -> Layer:
    return as_paint(layer, source) if layer.image.channels == "A" else layer


def _settings(entry: dict) -> Iterator[tuple[str, dict]]:
    """Labels and parameters: one, or one for each share of a dial."""
    given = entry.get("set", {})
    if "dial" not in entry:
        yield "", given
        return
    for share in entry["shares"]:
        yield f"{share} %", given | {"dials": [entry["dial"] | {"strength": float(share)}]}


def _edited(
    client: Client, source: Image, mask: Image | None, entry: dict, values: dict, seed: int
) -> list[Layer]:
    """The layers of one edit, the best first. Raises VelaturaError."""
    edit = Edit(
        entry["method"],
        prompt=entry["prompt"],
        parameters=values,
        seed=seed,
        variations=entry.get("variations", 1),
    )
    inputs = inputs_of(source, mask)
    request = edit.on(inputs, (source.width, source.height), lease=True)
    progress, job = Progress(), str(uuid.uuid4())
    try:
        client.submit(job, request.to_wire(), blobs(inputs), on_bytes=progress.sent)
        ended = client.wait(job, on_event=progress.event)
    finally:
        progress.close()
    if ended["state"] != "done":
        error = ended.get("error")
        raise VelaturaError.from_wire(error) if error else VelaturaError("cancelled", "The demo was stopped.")
    layers = best_first(ended["result"]["layers"])
    found = [Layer.from_result(layer, client.fetch(layer["raster"]["digest"])) for layer in layers]
    client.ack(job)
    return found
