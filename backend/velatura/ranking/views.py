"""A result as an encoder sees it: the selected part alone, and the picture as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from velatura.canvas.composite import chosen, composed
from velatura.canvas.geometry import Box, plan
from velatura.canvas.paste import Pasted
from velatura.canvas.selection import Layer, Selection

SEAM_SIDE = 512  #: pixels at most of the longer side of the picture that the border is looked for in
_SEAM_MARGIN = (16, 0.25)  # pixels round the selection, or of its size, so that its border has an outside
_NEAR_CONTEXT = 0.05  # of the selection's size, on each side
_WHOLE_CONTEXT = 1.0


@dataclass(frozen=True)
class Scene:
    """What all variations of a run have in common.

    backdrop [3]: the colour behind transparent pixels. model_side: of the pictures the model was trained on,
    in pixels; the whole is never less of the layer than that.
    """

    layer: Layer
    selection: Selection
    backdrop: np.ndarray
    model_side: int

    @property
    def masked(self) -> bool:
        """Whether a part was selected; else the whole layer was edited, and has no border."""
        return self.selection.values is not None

    def selected(self, result: Pasted | None, side: int, ground: Tensor) -> Tensor:
        """The selected part on a plain ground, [3, side, side] in [0, 1]; of the source where result is None.

        As the masked picture that Avrahami et al. rank by (2022, Blended Diffusion; 2023, section 4.4), but
        cut to the selection's square, so that a small one is not a few pixels of the encoder's picture.
        """
        box = self._square(_NEAR_CONTEXT)
        size = _fitted(box, side)
        picture = self._composed(result, box, size)
        within = chosen(self.selection, box, size)[..., None]
        colour = ground.flatten().cpu().numpy()
        return _centred(colour + within * (picture - colour), side, colour)

    def whole(self, result: Pasted | None, side: int, ground: Tensor) -> Tensor:
        """The picture round the selection, as much as a model is shown and at least three times the
        selection, [3, side, side] in [0, 1]; of the source where result is None."""
        box = self._square(_WHOLE_CONTEXT, self.model_side)
        colour = ground.flatten().cpu().numpy()
        return _centred(self._composed(result, box, _fitted(box, side)), side, colour)

    def border(self, result: Pasted | None) -> np.ndarray:
        """The selection with a margin, [h, w, 3] in [0, 1], at its own size or reduced to `SEAM_SIDE`."""
        box = self._border_box
        return self._composed(result, box, _reduced_to(box, SEAM_SIDE))

    def border_mask(self) -> np.ndarray:
        """The selection where `border` shows it, [h, w] in [0, 1]."""
        return chosen(self.selection, self._border_box, _reduced_to(self._border_box, SEAM_SIDE))

    @property
    def _border_box(self) -> Box:
        bounds, (least, share) = self.selection.bounds, _SEAM_MARGIN
        margin = max(least, round(share * max(bounds.width, bounds.height)))
        wide = Box(bounds.x0 - margin, bounds.y0 - margin, bounds.x1 + margin, bounds.y1 + margin)
        return wide.intersection(self.layer.box)

    def _square(self, context: float, at_least: int = 1) -> Box:
        box = self.layer.box
        return plan(self.selection.bounds, (box.height, box.width), at_least, 1, context).crop

    def _composed(self, result: Pasted | None, box: Box, size: tuple[int, int]) -> np.ndarray:
        return composed(self.layer, result, box, size, self.backdrop)


def _fitted(box: Box, side: int) -> tuple[int, int]:
    """(height, width) of the box drawn into a square, its longer side as long as that."""
    longest = max(box.height, box.width)
    return max(1, round(box.height * side / longest)), max(1, round(box.width * side / longest))


def _reduced_to(box: Box, side: int) -> tuple[int, int]:
    return _fitted(box, min(side, max(box.height, box.width)))


def _centred(picture: np.ndarray, side: int, colour: np.ndarray) -> Tensor:
    """[h, w, 3] in the middle of a square of one colour, as [3, side, side]."""
    square = np.broadcast_to(colour, (side, side, 3)).astype(np.float32)
    height, width = picture.shape[:2]
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture.clip(0.0, 1.0)
    return torch.from_numpy(square).permute(2, 0, 1)
