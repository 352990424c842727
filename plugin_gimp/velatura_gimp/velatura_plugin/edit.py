"""An edit from beginning to end, and an edit run again from its recipe."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from gi.repository import Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster
from velatura_protocol.results import best_first

from . import catalogue, recipe
from .capture import Capture, Steps, at_once, capture, capture_anew, capture_with_mask_of
from .formats import Encoding
from .insert import Variation, insert
from .masks import Mask, insert_masks
from .session import OnPreview, Session

#: The plug-in's folder, and the file in it that GIMP starts.
FOLDER = Path(__file__).resolve().parent.parent
ENTRY = FOLDER / "velatura_gimp.py"


def open_session() -> Session:
    """A session that shows its progress in GIMP's progress bar."""
    return Session(FOLDER, f"gimp {Gimp.version()}", show_progress)


def show_progress(text: str, fraction: float | None = None) -> None:
    """Sets GIMP's progress bar."""
    Gimp.progress_set_text(text)
    if fraction is None:
        Gimp.progress_pulse()
    else:
        Gimp.progress_update(fraction)


def edit(image: Gimp.Image, layer: Gimp.Layer, request: dict) -> Gimp.Item:
    """Edits `layer` within the selection and puts the result above it; its group.

    Of a method that finds masks, the first of the channels it has left in the image.
    """
    with open_session() as session:
        refresh(session)
        return _run(session, image, layer, layer, request, at_once(capture(image, layer)))


def edit_again(
    image: Gimp.Image, source: Gimp.Layer, result: Gimp.Item, kept: Mapping, changes: Mapping
) -> Gimp.Item:
    """Runs `kept`, the recipe of a result, with some fields changed; puts the new result above the old.

    The source is taken as it is now; of a result layer, the layer mask, as the artist has left it, is the
    selection.
    """
    above = source
    if result.is_layer():
        group = result.get_parent()
        above = result if group is None or _holds(group, source) else group
    with open_session() as session:
        refresh(session)
        captured = at_once(capture_again(image, source, result, kept))
        return _run(session, image, source, above, recipe.again(kept, changes), captured)


def capture_again(image: Gimp.Image, source: Gimp.Layer, result: Gimp.Item, kept: Mapping) -> Steps[Capture]:
    """What the recipe of a result is run on, as source and result are now."""
    if result.is_layer():
        return capture_with_mask_of(image, source, result)
    return capture_anew(image, source, result, kept["inputs"].get("mask") is None)


def find_masks(
    session: Session, request: dict, captured: Capture, should_cancel: Callable[[], bool]
) -> tuple[list[Mask], str]:
    """Masks for `insert_masks`, and the daemon's note. Calls nothing of GIMP, so any thread may.

    Raises VelaturaError, `cancelled` once `should_cancel` is true.
    """
    request = {**request, "inputs": captured.inputs, "canvas": captured.canvas}
    job = session.run(request, captured.blobs, should_cancel)
    return _masks(session, job), job["result"].get("note") or ""


def draft(
    session: Session,
    request: dict,
    captured: Capture,
    should_cancel: Callable[[], bool],
    on_preview: OnPreview | None = None,
) -> dict:
    """The result of a run of which nothing is kept. Calls nothing of GIMP, so any thread may.

    on_preview(png, rect): what it gives, as far as it has come. Raises VelaturaError, `cancelled` once
    `should_cancel` is true.
    """
    session.need_drafts()
    request = {**request, "inputs": captured.inputs, "canvas": captured.canvas, "draft": True}
    return session.run(request, captured.blobs, should_cancel, on_preview)["result"]


def refresh(session: Session) -> bool:
    """Opens the session and remembers the daemon's methods; returns whether they have changed."""
    return catalogue.remember(FOLDER, session.open(), ENTRY)


def chosen_recipe(drawables: list) -> tuple[Gimp.Item, dict]:
    """The chosen result, a layer or a channel, and its recipe.

    Where a variation (or its mask) is chosen, the recipe of that variation alone; where a result's group is
    chosen, the topmost visible variation and the recipe of all; of a channel, that of all its masks. Raises
    VelaturaError where none is.
    """
    if len(drawables) == 1:
        item = drawables[0]
        item = Gimp.Layer.from_mask(item) if item.is_layer_mask() else item
        if _has_recipe(item):
            kept = _read_recipe(item)
            return item, recipe.of_layer(kept) if item.is_layer() else kept
        children = item.get_children() if item.is_layer() and item.is_group() else []
        results = [child for child in children if _has_recipe(child)]
        if results:
            result = min(results, key=lambda child: not child.get_visible())
            return result, _read_recipe(result)
    raise VelaturaError(
        "bad-request",
        "This was not made by Velatura; choose a result layer, its group, or a channel that was found.",
    )


def _read_recipe(result: Gimp.Item) -> dict:
    return recipe.from_parasite(bytes(result.get_parasite(recipe.PARASITE).get_data()))


def _has_recipe(item: Gimp.Item) -> bool:
    return (item.is_layer() or item.is_channel()) and item.get_parasite(recipe.PARASITE) is not None


def source_of(image: Gimp.Image, result: Gimp.Item, kept: Mapping) -> Gimp.Layer:
    """The layer a result was made from. Raises VelaturaError where it is gone."""
    tattoo = recipe.source_tattoo(kept)
    source = image.get_layer_by_tattoo(tattoo) if tattoo else None
    if source is None or source.get_id() == result.get_id():
        raise VelaturaError(
            "bad-request", "The layer that this result was made from is gone; edit another one anew."
        )
    return source


def _holds(group: Gimp.GroupLayer, layer: Gimp.Layer) -> bool:
    parent = layer.get_parent()
    while parent is not None and parent.get_id() != group.get_id():
        parent = parent.get_parent()
    return parent is not None


def _run(
    session: Session,
    image: Gimp.Image,
    source: Gimp.Layer,
    above: Gimp.Layer,
    request: dict,
    captured: Capture,
) -> Gimp.Item:
    code = captured.code
    job = session.run({**request, "inputs": captured.inputs, "canvas": captured.canvas}, captured.blobs)
    layers = job["result"]["layers"]
    if layers and all(layer.get("kind") == "mask" for layer in layers):
        item = insert_masks(image, source, _masks(session, job))[0]
    else:
        variations = [_variation(session, layer, code) for layer in best_first(layers)]
        item = insert(image, above, source, job.get("title") or request["method"], variations, code)
        session.acknowledge(job)
    say_note(job["result"].get("note"))
    return item


def _masks(session: Session, job: dict) -> list[Mask]:
    """The masks of a job that is done with them: what cannot be used of them is as soon found again."""
    masks = []
    for layer in job["result"]["layers"]:
        raster = Raster.from_wire(layer["raster"])
        data = _bytes(session, raster, ("A", "u8", ""))
        masks.append(Mask(layer["title"], raster, data, layer["recipe"]))
    session.acknowledge(job)
    return masks


def _variation(session: Session, layer: Mapping, code: Encoding) -> Variation:
    raster = Raster.from_wire(layer["raster"])
    data = _bytes(session, raster, (code.channels, code.dtype, code.profile))
    return Variation(layer["title"], raster, data, layer["recipe"])


def _bytes(session: Session, raster: Raster, expected: tuple[str, str, str]) -> bytearray:
    data = session.fetch(raster.digest)
    if (raster.channels, raster.dtype, raster.profile) != expected or len(data) != raster.nbytes:
        raise VelaturaError(
            "internal",
            "The daemon's result has another pixel format than the layer; update Velatura.",
            detail=f"{raster}, {len(data)} bytes",
        )
    return data


def say_note(note: object) -> None:
    """What the daemon has to say of a result, where GIMP shows a plug-in's messages."""
    if isinstance(note, str) and note:
        Gimp.message(note)


def sentence(error: Exception) -> str:
    """What the person is told of a failure; what else is known of it goes to the log."""
    if isinstance(error, VelaturaError):
        if error.detail:
            print(f"velatura: {error.code}: {error.detail}", file=sys.stderr)
        return f"{error.message} {error.hint}".strip()
    traceback.print_exception(error)
    return f"Velatura's plug-in met a fault; save your picture and try again. ({error!r})"
