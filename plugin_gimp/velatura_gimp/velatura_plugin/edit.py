"""An edit from beginning to end, and an edit run again from its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gi.repository import Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster
from velatura_protocol.results import best_first

from . import catalogue, recipe
from .capture import Capture, capture, capture_with_mask_of
from .formats import Encoding
from .insert import Variation, insert
from .session import Session

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


def edit(image: Gimp.Image, layer: Gimp.Layer, request: dict) -> Gimp.GroupLayer:
    """Edits `layer` within the selection and puts the result above it."""
    with open_session() as session:
        refresh(session)
        return _run(session, image, layer, layer, request, capture(image, layer))


def edit_again(image: Gimp.Image, result: Gimp.Layer, kept: Mapping, changes: Mapping) -> Gimp.GroupLayer:
    """Runs `kept`, the recipe of a result layer, with some fields changed; puts the new result above the old.

    The source is taken as it is now; the result's layer mask, as the artist has left it, is the selection.
    """
    source = source_of(image, result, kept)
    group = result.get_parent()
    above = result if group is None or _holds(group, source) else group
    with open_session() as session:
        refresh(session)
        captured = capture_with_mask_of(image, source, result)
        return _run(session, image, source, above, recipe.again(kept, changes), captured)


def refresh(session: Session) -> bool:
    """Opens the session and remembers the daemon's methods; returns whether they have changed."""
    return catalogue.remember(FOLDER, session.open(), ENTRY)


def chosen_recipe(drawables: list) -> tuple[Gimp.Layer, dict]:
    """The chosen result layer and its recipe.

    Where a variation (or its mask) is chosen, the recipe of that variation alone; where a result's group is
    chosen, the topmost visible variation and the recipe of all. Raises VelaturaError where neither is.
    """
    if len(drawables) == 1 and (drawables[0].is_layer() or drawables[0].is_layer_mask()):
        layer = Gimp.Layer.from_mask(drawables[0]) if drawables[0].is_layer_mask() else drawables[0]
        if _has_recipe(layer):
            return layer, recipe.of_layer(_read_recipe(layer))
        results = [child for child in layer.get_children() if _has_recipe(child)] if layer.is_group() else []
        if results:
            result = min(results, key=lambda child: not child.get_visible())
            return result, _read_recipe(result)
    raise VelaturaError(
        "bad-request", "This layer was not made by Velatura; choose a result layer, or its group."
    )


def _read_recipe(result: Gimp.Layer) -> dict:
    return recipe.from_parasite(bytes(result.get_parasite(recipe.PARASITE).get_data()))


def _has_recipe(layer: Gimp.Layer) -> bool:
    return layer.is_layer() and layer.get_parasite(recipe.PARASITE) is not None


def source_of(image: Gimp.Image, result: Gimp.Layer, kept: Mapping) -> Gimp.Layer:
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
) -> Gimp.GroupLayer:
    code = captured.code
    job = session.run({**request, "inputs": captured.inputs, "canvas": captured.canvas}, captured.blobs)
    variations = [_variation(session, layer, code) for layer in best_first(job["result"]["layers"])]
    group = insert(image, above, source, job.get("title") or request["method"], variations, code)
    session.acknowledge(job)
    return group


def _variation(session: Session, layer: Mapping, code: Encoding) -> Variation:
    raster = Raster.from_wire(layer["raster"])
    data = session.fetch(raster.digest)
    as_sent = (raster.channels, raster.dtype, raster.profile) == (code.channels, code.dtype, code.profile)
    if not as_sent or len(data) != raster.nbytes:
        raise VelaturaError(
            "internal",
            "The daemon's result has another pixel format than the layer; update Velatura.",
            detail=f"{raster}, {len(data)} bytes",
        )
    return Variation(layer["title"], raster, data, layer["recipe"])
