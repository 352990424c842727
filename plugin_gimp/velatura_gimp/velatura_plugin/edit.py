"""An edit from beginning to end, and the recipe and the pixels of an edit that is run again."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gi.repository import Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.kinds import insertion
from velatura_protocol.rasters import Raster
from velatura_protocol.reading import text_of
from velatura_protocol.requests import Edit, Recipe
from velatura_protocol.results import best_first
from velatura_protocol.sights import LAYER

from . import catalogue, recipe
from .capture import Capture, Steps, at_once, capture_anew, capture_with_mask_of, refuse_other
from .formats import Encoding
from .insert import Variation, insert, takes_over
from .masks import Mask, insert_masks
from .session import OnPreview, Session
from .sight import Sight
from .sources import has_recipe

#: The plug-in's folder, and the file in it that GIMP starts.
FOLDER = Path(__file__).resolve().parent.parent
ENTRY = FOLDER / "velatura_gimp.py"

T = TypeVar("T")


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


@dataclass(frozen=True)
class Target:
    """The place of a result.

    source: the layer it is made from. above: the layer it is put above. is_again: whether that is an earlier
    result of the same recipe; else a result of the visible picture is put on top of everything.
    """

    image: Gimp.Image
    source: Gimp.Layer
    above: Gimp.Layer
    is_again: bool = False


@dataclass(frozen=True)
class Made:
    """The result of a job.

    title: the group's name. parts: variations or masks, the best first. note: the daemon's sentence for the
    person, or "". sees: see `sight.Sight`.
    """

    title: str
    parts: Sequence[Variation] | Sequence[Mask]
    code: Encoding
    note: str
    sees: str = LAYER


@dataclass(frozen=True)
class Placed:
    """A result in the image. items: its layers or its channels, the best first. note: a sentence for the
    person, or "".
    """

    items: list[Gimp.Item]
    note: str = ""

    @property
    def item(self) -> Gimp.Item:
        """The group of the layers, or the first channel."""
        first = self.items[0]
        return first.get_parent() if first.is_layer() else first


def edit(target: Target, read: Steps[Capture], request: Edit) -> Placed:
    """Runs a request on the pixels that `read` captures and puts the result into the image; see `put`."""
    with open_session() as session:
        refresh(session)
        return run(session, request, at_once(read), lambda made: put(target, made))


def run(
    session: Session,
    request: Edit,
    captured: Capture,
    put: Callable[[Made], T],
    should_cancel: Callable[[], bool] | None = None,
    on_preview: OnPreview | None = None,
) -> T:
    """Runs a request to its end and returns `put(result)`. Calls nothing else of GIMP.

    on_preview(png, rect): receives each preview, see `session.OnPreview`. Raises VelaturaError, `cancelled`
    once `should_cancel` is true.
    """
    job = session.run(request, captured, should_cancel, on_preview)
    item = put(made(session, job, request.method, captured))
    session.acknowledge(job["job"])
    with contextlib.suppress(VelaturaError):  # the edit may have kept a slider; else the next one asks
        catalogue.remember(FOLDER, session.methods(), ENTRY)
    return item


def put(target: Target, made: Made) -> Placed:
    """Puts a result into the image: its group, or channels where masks were found."""
    image, source, sees = target.image, target.source, made.sees
    if isinstance(made.parts[0], Mask):
        channels, lost = insert_masks(image, source, made.parts, sees)
        return Placed(channels, f"{lost} {made.note}".strip())
    above = target.above if target.above.is_valid() else source
    if sees != LAYER and not target.is_again:
        above = None
    hidden = (
        f"“{source.get_name()}” is hidden now: the result has a copy of it."
        if takes_over(source, sees)
        else ""
    )
    group = insert(image, above, source, made.title, made.parts, made.code, sees)
    return Placed(
        [item for item in group.get_children() if has_recipe(item)], f"{hidden} {made.note}".strip()
    )


def first(image: Gimp.Image, source: Gimp.Layer) -> Target:
    """The place of a first result of a layer: above its earlier results, so that it is visible."""
    above = source
    stack = source.get_parent().get_children() if source.get_parent() else image.get_layers()
    for sibling in reversed(stack[: image.get_item_position(source)]):
        if not (sibling.is_group() and any(map(has_recipe, sibling.get_children()))):
            break
        above = sibling
    return Target(image, source, above)


def again(image: Gimp.Image, source: Gimp.Layer, result: Gimp.Item) -> Target:
    """The place of the result of an earlier result's recipe: above the earlier one."""
    if not result.is_layer():
        return Target(image, source, source)
    group = result.get_parent()
    is_inside = source.get_id() != result.get_id() and group is not None and _holds(group, source)
    above = result if group is None or is_inside else group
    return Target(image, source, above, is_again=True)


def capture_again(sight: Sight, result: Gimp.Item, kept: Recipe) -> Steps[Capture]:
    """Captures the pixels for a result's recipe, from source and result as they are now.

    A result layer's mask, as the artist has left it, is the selection.
    """
    was_whole = kept.request.inputs["mask"] is None
    if result.is_layer():
        return capture_with_mask_of(sight, result, was_whole)
    return capture_anew(sight, result, was_whole)


def draft(
    session: Session,
    request: Edit,
    captured: Capture,
    should_cancel: Callable[[], bool],
    on_preview: OnPreview | None = None,
) -> dict:
    """The result of a draft, which the daemon does not keep. Calls nothing of GIMP, so any thread may.

    on_preview(png, rect): receives each preview, see `session.OnPreview`. Raises VelaturaError, `cancelled`
    once `should_cancel` is true.
    """
    session.need_drafts()
    return session.run(request, captured, should_cancel, on_preview, draft=True)["result"]


def refresh(session: Session) -> bool:
    """Opens the session and remembers the daemon's methods; returns whether they have changed."""
    return catalogue.remember(FOLDER, session.open(), ENTRY)


def chosen_recipe(image: Gimp.Image, drawables: list) -> tuple[Gimp.Item, Recipe]:
    """The chosen result, a layer or a channel, and its recipe.

    A chosen variation, or its mask, has the recipe of that variation alone. A chosen group stands for its
    topmost visible variation, with the recipe of all. A channel has the recipe of all its masks. Raises
    VelaturaError where no result of this image is chosen.
    """
    if len(drawables) == 1:
        refuse_other(image, drawables[0])
        item = drawables[0]
        item = Gimp.Layer.from_mask(item) if item.is_layer_mask() else item
        if has_recipe(item):
            kept = _read_recipe(item)
            return item, kept.of_layer() if item.is_layer() else kept
        children = item.get_children() if item.is_layer() and item.is_group() else []
        results = [child for child in children if has_recipe(child)]
        if results:
            result = min(results, key=lambda child: not child.get_visible())
            return result, _read_recipe(result)
    raise VelaturaError(
        "bad-request",
        "This was not made by Velatura; choose a result layer, its group, or a channel that was found.",
    )


def _read_recipe(result: Gimp.Item) -> Recipe:
    return recipe.from_parasite(bytes(result.get_parasite(recipe.PARASITE).get_data()))


def _holds(group: Gimp.GroupLayer, layer: Gimp.Layer) -> bool:
    parent = layer.get_parent()
    while parent is not None and parent.get_id() != group.get_id():
        parent = parent.get_parent()
    return parent is not None


def made(session: Session, job: Mapping, method: str, captured: Capture) -> Made:
    """The result of a job that is done, with its pixels. Raises VelaturaError for one that is unfit."""
    layers, parts, code = job["result"]["layers"], [], captured.code
    if not layers:
        raise VelaturaError("internal", "The daemon's result is empty; update Velatura.")
    if insertion(job["result"]) == "selections":
        for layer in layers:
            raster = Raster.from_wire(layer["raster"])
            data = _bytes(session, raster, ("A", "u8", ""))
            parts.append(Mask(layer["title"], raster, data, layer["recipe"]))
    else:
        parts = [variation(session, layer, code) for layer in best_first(layers)]
    note = job["result"].get("note")
    return Made(job.get("title") or method, parts, code, note if isinstance(note, str) else "", captured.sees)


def variation(session: Session, layer: Mapping, code: Encoding) -> Variation:
    """A layer of a result, with its pixels."""
    raster = Raster.from_wire(layer["raster"])
    job = text_of(layer["recipe"], "job")
    data = _bytes(session, raster, (code.channels, code.dtype, code.profile), job)
    return Variation(layer["title"], raster, data, layer["recipe"])


def _bytes(session: Session, raster: Raster, expected: tuple[str, str, str], job: str = "") -> bytearray:
    data = session.fetch(raster.digest, job)
    if (raster.channels, raster.dtype, raster.profile) != expected or len(data) != raster.nbytes:
        raise VelaturaError(
            "internal",
            "The daemon's result has another pixel format than the layer; update Velatura.",
            detail=f"{raster}, {len(data)} bytes",
        )
    return data


def sentence(error: Exception) -> str:
    """The sentence for a failure, for the person; its details go to the log."""
    if isinstance(error, VelaturaError):
        if error.detail:
            print(f"velatura: {error.code}: {error.detail}", file=sys.stderr)
        return f"{error.message} {error.hint}".strip()
    traceback.print_exception(error)
    return f"Velatura's plug-in met a fault; save your picture and try again. ({error!r})"
