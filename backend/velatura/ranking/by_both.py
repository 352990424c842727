"""How well a picture shows its prompt, as the diffusion model and a CLIP beside it read it together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .reader import Reader

WEIGHT = 3.0
"""How much CLIP's reading counts beside the model's."""


@dataclass(frozen=True)
class AskedOfBoth:
    """The request to rank by, read by the model that made the pictures and by its CLIP.

    The two err in different pictures; `DESIGN.md` has the figures.

    Args:
        model: see `asked.Asked`.
        clip: see `by_clip.AskedOfClip`.
    """

    model: Reader
    clip: Reader

    @property
    def looks(self) -> int:
        """The number of looks at each picture."""
        return self.model.looks + self.clip.looks

    def read(self, pictures: Sequence[np.ndarray], check: Callable[[], None]) -> list[float] | None:
        """See `Reader`. With the model's position r = logit(a) and CLIP's way 2 b - 1 from the layer to the
        prompt, a and b their readings, the result is 1 / (1 + exp(-(r + WEIGHT (2 b - 1)))): the model's
        reading for a picture that CLIP finds no nearer to the prompt than the layer is."""
        by_model = self.model.read(pictures, check)
        by_clip = None if by_model is None else self.clip.read(pictures, check)
        if by_model is None or by_clip is None:
            return by_model
        return [_joined(a, b) for a, b in zip(by_model, by_clip, strict=True)]


def _joined(a: float, b: float) -> float:
    a = min(max(a, 1e-6), 1.0 - 1e-6)
    return 1.0 / (1.0 + math.exp(-(math.log(a / (1.0 - a)) + WEIGHT * (2.0 * b - 1.0))))
