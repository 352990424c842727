"""The candidates of a run: its variations as they finish, before the run is done (SPEC section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import VelaturaError
from .messages import Message, is_digest
from .rasters import FAR, Raster, Rect, rect_of
from .reading import JsonObject, as_integer, as_list, as_object, is_number, text_of
from .requests import MAX_VARIATIONS

MAX_THUMBNAIL = 64 * 1024  #: bytes of a thumbnail
THUMBNAIL_SIDE = 256  #: most pixels of a side of a thumbnail


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small JPEG picture of a result, as a blob.

    Attributes:
        digest: of the blob.
        size: its bytes, 1 … `MAX_THUMBNAIL`.
        width: in pixels, 1 … `THUMBNAIL_SIDE`.
        height: the same.
        rect: the part of the document that it shows.
    """

    digest: str
    size: int
    width: int
    height: int
    rect: Rect

    @classmethod
    def from_wire(cls, value: object) -> Thumbnail | None:
        """Reads a layer's `thumbnail`; None for one that a client could not show."""
        d = as_object(value) or {}
        name = d.get("digest")
        size = as_integer(d.get("size"), 1, MAX_THUMBNAIL)
        width, height = (as_integer(d.get(key), 1, THUMBNAIL_SIDE) for key in ("width", "height"))
        if not is_digest(name) or d.get("format") != "jpeg" or not (size and width and height):
            return None
        try:
            return cls(name, size, width, height, rect_of(d.get("rect")))
        except VelaturaError:
            return None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished variation of a run.

    Attributes:
        job: the run's id.
        index: of the variation, from 0.
        title: for the person.
        seed: of the variation.
        raster: the description of its pixels.
        layer: the daemon's whole object, which a client inserts like a layer of a result.
        score: in [0, 1], more is better; None where the run is not ranked.
        rank: its final place, 0 for the best; None until the run is done.
        why: the reason for its place in a few words, or ''.
        thumbnail: a small picture of it; None where the daemon sends none.
    """

    job: str
    index: int
    title: str
    seed: int
    raster: Raster
    layer: JsonObject
    score: float | None = None
    rank: int | None = None
    why: str = ""
    thumbnail: Thumbnail | None = None

    @classmethod
    def from_wire(cls, job: str, value: object) -> Candidate | None:
        """Reads a layer of an event, a job or a result; None for one that is no picture.

        Raises the errors of `Raster.from_wire`.
        """
        layer = as_object(value)
        index = None if layer is None else as_integer(layer.get("index"), 0, MAX_VARIATIONS - 1)
        if layer is None or index is None or layer.get("kind", "") != "":
            return None
        score = layer.get("score")
        return cls(
            job=job,
            index=index,
            title=text_of(layer, "title"),
            seed=as_integer(layer.get("seed"), 0, FAR) or 0,
            raster=Raster.from_wire(layer.get("raster")),
            layer=layer,
            score=float(score) if is_number(score) and 0.0 <= score <= 1.0 else None,
            rank=as_integer(layer.get("rank"), 0, MAX_VARIATIONS - 1),
            why=text_of(layer, "why"),
            thumbnail=Thumbnail.from_wire(layer.get("thumbnail")),
        )

    @property
    def recipe(self) -> JsonObject:
        """Its recipe (SPEC section 5); {} where the daemon sends none."""
        return as_object(self.layer.get("recipe")) or {}


def best_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates in the order in which a person sees them.

    Once all have their final ranks, by these; before that the higher score first, candidates without a score
    last, and equal ones by index. A later candidate therefore never changes the order of the earlier ones
    among themselves.
    """
    listed = sorted(candidates, key=lambda one: one.index)
    ranks = [one.rank for one in listed if one.rank is not None]
    if len(ranks) == len(set(ranks)) == len(listed):
        return sorted(listed, key=lambda one: one.rank or 0)
    return sorted(listed, key=lambda one: -1.0 if one.score is None else one.score, reverse=True)


def of(message: Message) -> list[Candidate]:
    """The candidates in a `candidate` or `job` message, of a run that goes on, is done or was stopped.

    Those that cannot be read are left out.
    """
    job = message.get("job")
    if not isinstance(job, str):
        return []
    if message.get("type") == "candidate":
        layers: list[object] = [message.get("layer")]
    else:
        result = as_object(message.get("result")) or {}
        layers = as_list(message.get("candidates")) or as_list(result.get("layers")) or []
    return [one for one in (_readable(job, layer) for layer in layers) if one is not None]


def _readable(job: str, layer: object) -> Candidate | None:
    """As `Candidate.from_wire`, but None for a damaged raster too."""
    try:
        return Candidate.from_wire(job, layer)
    except VelaturaError:
        return None
