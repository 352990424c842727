"""The layers of a result, each with its recipe and its place among the variations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from velatura.canvas.paste import Pasted
from velatura.ranking.judge import Judge
from velatura.ranking.rank import Place
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Raster, RasterObject
from velatura_protocol.results import MAX_NOTE, one_line

from .thumbnails import Thumb


@dataclass(frozen=True)
class ResultLayer:
    """One variation, or one mask.

    Args:
        index: from 0.
        title: for the person.
        seed: of the variation.
        raster: the wire's object, with its digest.
        data: the pixels.
        recipe: the request as it was run.
        kind: 'mask', or '' for a picture.
        place: among the others; None if they were not ranked, or before all are done.
        scored: its score before all are done.
        thumbnail: a small picture of it.
        note: on the result as a whole, for the person.
    """

    index: int
    title: str
    seed: int
    raster: RasterObject
    data: bytes
    recipe: dict[str, Any]
    kind: str = ""
    place: Place | None = None
    scored: Place | None = None
    thumbnail: Thumb | None = None
    note: str = ""


def with_remarks(results: Sequence[ResultLayer | str], remarks: Sequence[str]) -> Sequence[ResultLayer | str]:
    """The results, whose note says these sentences too."""
    if not remarks:
        return results
    return [
        result
        if isinstance(result, str)
        else replace(result, note=one_line(" ".join(filter(None, [result.note, *remarks])), MAX_NOTE))
        for result in results
    ]


def result_layer(
    recipe: dict[str, Any], index: int, title: str, seed: int, source: Raster, pasted: Pasted
) -> ResultLayer:
    """A pasted picture as a result layer, not ranked yet."""
    data = pasted.pixels.tobytes()
    raster = Raster(
        digest(data),
        *pasted.rect[2:],
        pasted.channels,
        source.dtype,
        source.profile,
        pasted.rect,
        icc=source.icc,
    )
    recipe = recipe | {"variation": index}
    return ResultLayer(index, title, seed, raster.to_wire(), data, recipe)


def mask_layer(
    recipe: dict[str, Any], index: int, title: str, seed: int, source: Raster, mask: np.ndarray
) -> ResultLayer:
    """A mask of the source, uint8 [height, width], as a result layer."""
    data = mask.tobytes()
    whole = source.layer_rect
    raster = Raster(digest(data), *whole[2:], "A", "u8", "", whole)
    return ResultLayer(index, title, seed, raster.to_wire(), data, recipe | {"variation": index}, kind="mask")


class Looks:
    """Counts the looks at the pictures of a batch.

    Args:
        after: called before each look with the number of looks done and of all; it raises to cancel.
        of: all looks.
    """

    def __init__(self, after: Callable[[int, int], None], of: int) -> None:
        self._after, self._of, self._done = after, of, 0

    def __call__(self) -> None:
        self._after(self._done, self._of)
        self._done += 1


def ranked(
    results: list[ResultLayer], judge: Judge, title: Callable[[int, int, str], str]
) -> list[ResultLayer]:
    """The results, in their own order, with their places.

    Args:
        results: of a whole run.
        judge: that has read all of them.
        title: gives a layer's title from its index, its seed and its place's label.
    """
    ranking = judge.ranking()
    remark = one_line(ranking.note, MAX_NOTE)
    if not ranking.places:
        return [replace(result, scored=None, note=remark) for result in results]
    return [
        replace(
            result, title=title(result.index, result.seed, place.label), scored=None, place=place, note=remark
        )
        for result, place in zip(results, ranking.places, strict=True)
    ]


def to_wire(job: str, layer: ResultLayer) -> dict[str, Any]:
    """A layer of a result or a candidate, as the wire has it (SPEC section 4)."""
    score: dict[str, Any] = {}
    if layer.place is not None:
        score = {"rank": layer.place.rank, "score": layer.place.score, "scores": layer.place.scores}
    elif layer.scored is not None:
        score = {"score": layer.scored.score, "scores": layer.scored.scores}
    return {
        "index": layer.index,
        "title": layer.title,
        "seed": layer.seed,
        **({"kind": layer.kind} if layer.kind else {}),
        "raster": layer.raster,
        **({"thumbnail": layer.thumbnail.to_wire()} if layer.thumbnail else {}),
        **score,
        **({"why": layer.place.why} if layer.place and layer.place.why else {}),
        "recipe": {**layer.recipe, "job": job, "variation": layer.index, **score},
    }
