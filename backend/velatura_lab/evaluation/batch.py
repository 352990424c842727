"""One editor's results on one case, and the encoders' views of them, each computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velatura_lab.readers import Reading, matches

from .cases import Case, to_images
from .encoders import Encoders, required

#: The share of the picture outside the exact region that a measure of the background needs.
LEAST_BACKGROUND = 0.05
#: A result is acceptable if at least this share of the attributes to be kept is read as before ...
KEPT = 0.8
#: ... and the picture outside the exact region is no farther from the source than this, in dB.
NEAR_DB = 20.0


@dataclass
class Batch:
    """The results of one editor on one case.

    Args:
        case: the edit.
        pictures: uint8 [N, h, w, 3], one for each seed.
        encoders: the available networks.
        sources: as `pictures`, where the editor started from pictures of its own, else None.
        back: uint8 [h, w, 3], the first picture edited back to the source prompt, or None.
        scores: Velatura's ranking of the pictures, where more is better, or None.
    """

    case: Case
    pictures: NDArray[np.uint8]
    encoders: Encoders
    sources: NDArray[np.uint8] | None = None
    back: NDArray[np.uint8] | None = None
    scores: Sequence[float] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def exact(self) -> bool:
        """Whether there is an exact target: the source is the case's own, and its target is known."""
        return self.sources is None and self.case.target is not None

    @cached_property
    def results(self) -> Tensor:
        """(N, 3, H, W) in 0..1."""
        return to_images(self.pictures)

    @cached_property
    def origins(self) -> Tensor:
        """The source of each result, (N, 3, H, W) in 0..1."""
        if self.sources is not None:
            return to_images(self.sources)
        return self.case.source_image.expand(len(self), -1, -1, -1)

    @cached_property
    def background(self) -> Tensor:
        """(1, 1, H, W), 1 where nothing should change."""
        return 1.0 - self.case.region_weight

    @property
    def has_background(self) -> bool:
        """Whether the background is large enough to be measured."""
        return float(self.background.mean()) >= LEAST_BACKGROUND

    @cached_property
    def restored(self) -> Tensor:
        """The results with the exact region as it was in the source, (N, 3, H, W) in 0..1."""
        return torch.lerp(self.origins, self.results, self.background)

    @cached_property
    def readings(self) -> list[Reading]:
        """The judge's reading of each result."""
        return required(self.encoders.judge).read(self.results)

    @cached_property
    def readings_before(self) -> list[Reading]:
        """The judge's reading of each source."""
        one = self.origins if self.sources is not None else self.origins[:1]
        read = required(self.encoders.judge).read(one)
        return read if self.sources is not None else read * len(self)

    @cached_property
    def right(self) -> list[bool]:
        """Whether the judge reads the edit in each result."""
        return self._show_the_edit(self.readings)

    @cached_property
    def inside(self) -> list[bool]:
        """As `right`, for the cut-outs."""
        return self._show_the_edit(required(self.encoders.judge).read(self.cut_outs))

    def _show_the_edit(self, readings: Sequence[Reading]) -> list[bool]:
        _, target = required(self.case.scenes)
        return [matches(reading, target, self.case.attribute) for reading in readings]

    @cached_property
    def cut_outs(self) -> Tensor:
        """The square round the selection of each result, in its place on a plain ground of the source's mean
        colour, (N, 3, H, W) in 0..1."""
        window = _square(self.case.mask)
        cut_outs = self.origins.mean((2, 3), keepdim=True).expand_as(self.results).clone()
        cut_outs[window] = self.results[window]
        return cut_outs

    @cached_property
    def kept(self) -> list[float]:
        """For each result the share of the attributes to be kept that the judge reads as in the source,
        among those that it can read there; NaN if there are none. Degrees agree within a third."""
        shares: list[float] = []
        for before, after in zip(self.readings_before, self.readings, strict=True):
            same = [alike(before, after, name) for name in self.case.kept if name in before.values]
            shares.append(float(np.mean(same)) if same else math.nan)
        return shares

    @cached_property
    def embeddings(self) -> Tensor:
        """The results in CLIP's space, (N, d)."""
        with torch.no_grad():
            return required(self.encoders.clip).images(self.results)

    @cached_property
    def texts(self) -> Tensor:
        """Source prompt and target prompt in CLIP's space, (2, d)."""
        with torch.no_grad():
            return required(self.encoders.clip).texts([self.case.source_prompt, self.case.target_prompt])

    def shown(self) -> list[tuple[str, NDArray[np.uint8], bool]]:
        """The report's pictures: titles, pictures, and whether the judge does not read the edit."""
        own = [] if self.sources is None else [("its source", self.sources[0], False)]
        return [*own, ("", self.pictures[0], self.encoders.judge is not None and not self.right[0])]


def _square(mask: NDArray[np.uint8]) -> tuple[Any, ...]:
    """The smallest square that holds the selection, moved into the picture, as an index of [..., h, w]; the
    whole picture where nothing is selected."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return (...,)
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    index: list[Any] = [...]
    for places, length in ((rows, mask.shape[0]), (columns, mask.shape[1])):
        first = (int(places.min()) + int(places.max()) + 1 - int(side)) // 2
        first = max(0, min(first, length - int(side)))
        index.append(slice(first, min(length, first + int(side))))
    return tuple(index)


def alike(before: Reading, after: Reading, name: str) -> bool:
    """Whether an attribute is read alike in two pictures; degrees agree within a third."""
    if before.kind != after.kind:
        return False
    a, b = before.values[name], after.values[name]
    return abs(a - b) <= 1.0 / 3.0 if isinstance(a, float) else a == b


def chosen(layers: Sequence[Tensor], which: Sequence[bool]) -> list[Tensor]:
    """The feature maps of the pictures that `which` marks."""
    index = torch.tensor([i for i, wanted in enumerate(which) if wanted], dtype=torch.long)
    return [layer[index] for layer in layers]
