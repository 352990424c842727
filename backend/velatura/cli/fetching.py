"""Writes the result of a job that has ended: `velatura jobs fetch`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from velatura.cli.destinations import check_one
from velatura.cli.keeping import SHORT, acknowledge
from velatura.cli.sources import Sources
from velatura.client.outputs import WRITERS, Output, check_format
from velatura.client.running import fetch
from velatura.files.images import Image, Layer
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster
from velatura_protocol.requests import Recipe
from velatura_protocol.results import best_first, texts

LOST = "The picture is no longer kept by the daemon; give it with --source IN."


def fetch_job(client: Client, job: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """Write a job's result, or return its texts; return lines for the person, and acknowledge the job.

    Args:
        client: connected.
        job: as the daemon sends it.
        options: `out`, `out_dir`, `source`, `force`.

    Raises VelaturaError: the job's own error; `bad-request` for one that has not ended, whose result is
    gone, or whose file cannot be written; OSError.
    """
    if job["state"] != "done":
        if "error" in job:
            raise VelaturaError.from_wire(job["error"])
        short = job["job"][:SHORT]
        raise VelaturaError("bad-request", f"This edit has no result; see `velatura jobs show {short}`.")
    layers = best_first(job["result"]["layers"])
    if not layers:
        acknowledge(client, job)
        return texts(job["result"])
    recipe = Recipe.from_wire(layers[0]["recipe"])
    source, note = _source(client, recipe, options)
    kind = "selections" if layers[0].get("kind") == "mask" else "layers"
    out = options.out or options.out_dir / _name(recipe, job, source)
    check_one(options, out, [options.source])
    check_format(out, source, kind)
    drawn = [fetch(client, job["job"], layer) for layer in layers]
    output = Output(out, None, [options.source], options.force)
    files = WRITERS[kind](output, source, None, drawn, job["title"])
    acknowledge(client, job)
    return [*map(str, files), *([note] if note else [])]


def _name(recipe: Recipe, job: dict[str, Any], source: Image) -> str:
    raster = recipe.request.inputs["source"]
    stem = Path(raster.layer).stem if raster and raster.layer else "velatura"
    stem = "".join("-" if sign in '/\\:*?"<>|\0' else sign for sign in stem)[:40]
    return f"{stem}-{job['job'][:SHORT]}{'.tif' if source.pixels.dtype.kind == 'f' else '.ora'}"


def _source(client: Client, recipe: Recipe, options: argparse.Namespace) -> tuple[Image, str]:
    """The picture that was edited, and a sentence about it or ''."""
    raster, canvas = recipe.request.inputs["source"], recipe.request.canvas
    if raster is None:
        raise VelaturaError("bad-request", LOST)
    folder = (options.out.parent if options.out else options.out_dir) / "-"
    sources = Sources(folder, canvas)
    if options.source:
        return sources.given(options.source, raster)[0], ""
    for there in (sources, Sources(Path("-"), canvas)):
        found = there.found(raster)
        if found is not None:
            return found[1], ""
    image = _kept(client, raster)
    if raster.rect == (0, 0, *canvas):
        return image, ""
    x, y, width, height = raster.rect
    pixels = np.zeros((canvas[1], canvas[0], image.pixels.shape[-1]), image.pixels.dtype)
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, canvas[0]), min(y + height, canvas[1])
    pixels[top:bottom, left:right] = image.pixels[top - y : bottom - y, left - x : right - x]
    note = "Around the edited part the picture is clear, since only that part was sent; --source IN gives it."
    return replace(image, pixels=pixels), note


def _kept(client: Client, raster: Raster) -> Image:
    """The picture's pixels as the daemon has them, with alpha."""
    try:
        data = client.fetch(raster.digest, size=raster.nbytes)
        icc = bytes(client.fetch(raster.icc)) if raster.icc else b""
    except VelaturaError as error:
        if error.code != "unknown-blob":
            raise
        raise VelaturaError("bad-request", LOST) from error
    told = {"raster": raster.to_wire(), "title": "", "recipe": {}}
    return replace(Layer.from_result(told, data).image, icc=icc).with_alpha()
