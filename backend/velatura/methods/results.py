"""The layers of a result, each with its recipe and its place among the variations."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from velatura.canvas.colour import view
from velatura.canvas.paste import Pasted
from velatura.ranking.rank import Place, rank
from velatura.ranking.reader import Reader
from velatura.ranking.views import Scene
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Raster, RasterObject
from velatura_protocol.results import MAX_NOTE, one_line

from .base import Cancelled

log = logging.getLogger(__name__)


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
        place: among the others; None if they were not ranked.
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
        digest(data), *pasted.rect[2:], pasted.channels, source.dtype, source.profile, pasted.rect
    )
    recipe = recipe | {"variation": index}
    return ResultLayer(index, title, seed, raster.to_wire(), data, recipe)


def mask_layer(
    recipe: dict[str, Any], index: int, title: str, seed: int, source: Raster, mask: np.ndarray
) -> ResultLayer:
    """A mask of the source, uint8 [height, width], as a result layer."""
    data = mask.tobytes()
    raster = Raster(digest(data), source.width, source.height, "A", "u8", "", source.rect)
    return ResultLayer(index, title, seed, raster.to_wire(), data, recipe | {"variation": index}, kind="mask")


def ranked(
    results: list[ResultLayer],
    edited: Sequence[np.ndarray],
    scene: Scene,
    asked: Reader,
    after: Callable[[int, int], None],
    title: Callable[[int, int, str], str],
) -> list[ResultLayer]:
    """The results, in their own order, with their places; see `rank`.

    Any fault leaves the results as they are, with a note: the pictures are worth more than their order.

    Args:
        results: not ranked yet.
        edited: the pictures they were made of, [h, w, 3] in [0, 1] at the model's size.
        scene: the layer and the selection.
        asked: reads how well each picture shows the prompt.
        after: called before each look with the number of looks done and of all; it raises to cancel.
        title: gives a layer's title from its index, its seed and its place's label.

    Raises:
        Cancelled: raised by `after`.
    """
    rasters = [Raster.from_wire(result.raster) for result in results]
    pasted = [
        Pasted(view(raster, result.data), raster.channels, raster.rect)
        for raster, result in zip(rasters, results, strict=True)
    ]
    done, looks = 0, len(results) * (asked.looks + scene.masked)

    def look() -> None:
        nonlocal done
        after(done, looks)
        done += 1

    try:
        ranking = rank(scene, pasted, lambda: asked.read(edited, look), look)
        if not all(math.isfinite(value) for p in ranking.places for value in (p.score, *p.scores.values())):
            raise ValueError("a score is no number")
    except Cancelled:
        raise
    except Exception as error:
        log.warning("not ranked", exc_info=error)
        note = "Not ranked: comparing the variations failed; the worker's log says why."
        return [replace(result, note=note) for result in results]
    remark = one_line(ranking.note, MAX_NOTE)
    if not ranking.places:
        return [replace(result, note=remark) for result in results]
    return [
        replace(result, title=title(result.index, result.seed, place.label), place=place, note=remark)
        for result, place in zip(results, ranking.places, strict=True)
    ]
