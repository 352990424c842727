"""A reader of pictures: it says how well each shows the wanted one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from velatura.canvas.region import Seen


class Reader(Protocol):
    """Reads how well pictures show a prompt."""

    @property
    def looks(self) -> int:
        """The number of looks at each picture."""
        ...

    def read(self, pictures: Sequence[np.ndarray], check: Callable[[], None]) -> list[float] | None:
        """A value in [0, 1] for each picture, higher is better; None if there is no prompt.

        pictures: [h, w, 3] in [0, 1] at the model's size. check: called before each look; it raises to
        cancel.
        """
        ...


def composite(seen: Seen, picture: np.ndarray, device: torch.device) -> Tensor:
    """A picture [h, w, 3] over the source by the mask, as [1, 3, h, w] float32; all in [0, 1]."""
    shown = seen.image + seen.mask[..., None] * (picture - seen.image)
    return torch.from_numpy(shown).permute(2, 0, 1)[None].to(device, torch.float32)
