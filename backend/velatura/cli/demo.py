"""`velatura demo`: every kind of edit of the portrait that ships, in one sheet and one layered file."""

from __future__ import annotations

import argparse
import json
import time
import uuid
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velatura.cli import exits
from velatura.cli.inputs import parse_item
from velatura.cli.methods import method_named
from velatura.cli.progress import Progress
from velatura.cli.values import parse_values
from velatura.client.connection import connected
from velatura.client.requests import inputs_of
from velatura.files.images import Image, Layer
from velatura.files.masks import as_paint
from velatura.files.ora import Group, write_groups
from velatura.files.reading import read_image, read_mask
from velatura.files.sheet import Row, write_sheet
from velatura.samples import SAMPLES
from velatura_protocol.catalogue import Catalogue
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.requests import Edit, blobs
from velatura_protocol.results import best_first

SEED = 7
OUT = Path("velatura-demo")


@dataclass(frozen=True)
class Shown:
    """One way of editing the sample.

    Args:
        title: the name of the edit.
        caption: its prompt or selection.
        labels: a label for each layer.
        layers: the best first; for a dial, one for each share.
        mask: the selection.
    """

    title: str
    caption: str
    labels: tuple[str, ...]
    layers: tuple[Layer, ...]
    mask: Image | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"the folder to write; {OUT}")
    parser.add_argument("--open", action="store_true", help="open the sheet in the desktop's picture viewer")
    parser.add_argument("--seed", type=int, metavar="S", help="the seed of every edit; the demo's own")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Edit the sample in every way, write the sheet and the layers, and print their paths."""
    samples = json.loads((SAMPLES / "samples.json").read_text("utf-8"))
    entries = json.loads((SAMPLES / "demo.json").read_text("utf-8"))
    source = read_image(SAMPLES / samples["portrait"]["file"])
    options.out.mkdir(parents=True, exist_ok=True)
    sheet, layered = options.out / "demo.png", options.out / "demo.ora"
    began = time.monotonic()
    with connected(state_dir(options.state_dir), start=True) as client:
        known = Catalogue.from_wire(client.methods())
        shown = [_shown(client, source, _with_items(known, entry), options.seed) for entry in entries]
    write_sheet(sheet, source, [Row(s.title, s.caption, s.labels, s.layers, s.mask) for s in shown])
    groups = [
        Group(f"{s.title}: {s.caption}", [_painted(layer, source) for layer in s.layers]) for s in shown
    ]
    write_groups(layered, source, groups, "Velatura")
    print(f"{len(shown)} ways to edit, in {time.monotonic() - began:.0f} s:")
    print(f"  {sheet}    all of them side by side")
    print(f"  {layered}    the same as layers, for Krita or GIMP")
    if options.open and not webbrowser.open(sheet.resolve().as_uri()):
        print("The desktop did not open the sheet; open it yourself.")
    return exits.OK


def _with_items(known: Catalogue, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of demo.json whose `items`, texts as of `velatura edit --item`, are among its parameters."""
    if "items" not in entry:
        return entry
    method = method_named(known, entry["method"])
    items = [parse_item(method, item) for item in entry["items"]]
    return entry | {"set": entry.get("set", {}) | parse_values(method, [], (), items)}


def _shown(client: Client, source: Image, entry: dict[str, Any], seed: int | None) -> Shown:
    own_seed: int = entry.get("seed", SEED)
    mask = read_mask(SAMPLES / entry["mask"]) if "mask" in entry else None
    layers: list[Layer] = []
    labels: list[str] = []
    for label, values in _settings(entry):
        done = _edited(client, source, mask, entry, values, own_seed if seed is None else seed)
        layers += done if not label else done[:1]
        labels += [label] if label else [""] * len(done)
    return Shown(entry["title"], entry["told"], tuple(labels), tuple(layers), mask)


def _painted(layer: Layer, source: Image) -> Layer:
    return as_paint(layer, source) if layer.image.channels == "A" else layer


def _settings(entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pairs of a label and parameters: one for each share of a dial; without a dial one, labelled ''."""
    parameters = entry.get("set", {})
    if "dial" not in entry:
        yield "", parameters
        return
    for share in entry["shares"]:
        yield f"{share} %", parameters | {"dials": [entry["dial"] | {"strength": float(share)}]}


def _edited(
    client: Client,
    source: Image,
    mask: Image | None,
    entry: dict[str, Any],
    values: dict[str, Any],
    seed: int,
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
    results = best_first(ended["result"]["layers"])
    layers = [Layer.from_result(layer, client.fetch(layer["raster"]["digest"])) for layer in results]
    client.ack(job)
    return layers
