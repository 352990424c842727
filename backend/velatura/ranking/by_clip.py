"""How well a picture shows its prompt as CLIP reads it, for models that read no text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from velatura.canvas.region import Seen

from .reader import composite


class Encoder(Protocol):
    """The part of a CLIP that ranking needs; see `velatura.companions.clip`."""

    def similarity(self, pictures: Tensor, sentences: Sequence[str]) -> Tensor:
        """Cosines [N, T] of pictures [N, 3, h, w] in [0, 1] with sentences."""
        ...


@dataclass(frozen=True)
class AskedOfClip:
    """The request to rank by, read by CLIP (Radford et al. 2021, arXiv:2103.00020).

    Args:
        clip: reads the pictures.
        seen: the picture and the mask that the model edited.
        prompt: a description of the wanted picture.
        device: of the CLIP.
    """

    clip: Encoder
    seen: Seen
    prompt: str
    device: torch.device

    @property
    def looks(self) -> int:
        """The number of looks at each picture."""
        return 1

    @torch.inference_mode()
    def read(self, pictures: Sequence[np.ndarray], check: Callable[[], None]) -> list[float] | None:
        """How far each picture went from the layer towards the prompt, in [0, 1]; None if there is no prompt.

        pictures: [h, w, 3] in [0, 1] at the model's size. check: called before each look; it raises to
        cancel.

        With c the cosine of the composite and the prompt, and c_0 that of the unedited layer, the result is
        (1 + r) / 2 of

            r = (c - c_0) / (1 - c_0), at least -1,

        so it is 0.5 for the layer itself, and below for pictures that show the prompt less than the layer
        does.
        """
        if not self.prompt:
            return None
        before = self._before
        readings: list[float] = []
        for picture in pictures:
            check()
            gain = self._cosine(picture) - before
            readings.append((1.0 + max(gain / max(1.0 - before, 1e-6), -1.0)) / 2.0)
        return readings

    @cached_property
    def _before(self) -> float:
        """The cosine of the unedited layer and the prompt."""
        return self._cosine(self.seen.image)

    def _cosine(self, picture: np.ndarray) -> float:
        image = composite(self.seen, picture, self.device)
        return self.clip.similarity(image, [self.prompt]).item()
