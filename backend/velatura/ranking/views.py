"""A result along the border of its selection, as the person sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velatura.canvas.composite import chosen, composed
from velatura.canvas.geometry import Box
from velatura.canvas.paste import Pasted
from velatura.canvas.selection import Layer, Selection
from velatura_protocol import crops

SEAM_SIDE = 512  #: the largest longer side, in pixels, of the picture along whose border is looked


@dataclass(frozen=True)
class Scene:
    """The source that all variations of a run share. backdrop [3]: the colour behind transparent pixels."""

    layer: Layer
    selection: Selection
    backdrop: np.ndarray

    @property
    def masked(self) -> bool:
        """Whether there is a selection. Otherwise the whole layer was edited, and there is no border."""
        return self.selection.values is not None

    def border(self, result: Pasted | None) -> np.ndarray:
        """The selection with a margin, [h, w, 3] in [0, 1], at its own size or reduced to `SEAM_SIDE`."""
        box = self._border_box
        return self._composed(result, box, _reduced_to(box, SEAM_SIDE))

    def border_mask(self) -> np.ndarray:
        """The selection in the same area as `border`, [h, w] in [0, 1]."""
        return chosen(self.selection, self._border_box, _reduced_to(self._border_box, SEAM_SIDE))

    @property
    def _border_box(self) -> Box:
        box = self.layer.box
        return Box.of(crops.border(self.selection.bounds.rect, (box.width, box.height)))

    def _composed(self, result: Pasted | None, box: Box, size: tuple[int, int]) -> np.ndarray:
        return composed(self.layer, result, box, size, self.backdrop)


def _fitted(box: Box, side: int) -> tuple[int, int]:
    """(height, width) of the box, scaled so that its longer side is `side`."""
    longest = max(box.height, box.width)
    return max(1, round(box.height * side / longest)), max(1, round(box.width * side / longest))


def _reduced_to(box: Box, side: int) -> tuple[int, int]:
    return _fitted(box, min(side, max(box.height, box.width)))
