"""Prepares pictures for a network as its image processor of transformers does.

The processor itself is not run, only its file is read: it would leave the device, round to 8 bits and stop
gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.weights.json_files import read_object

#: Mean and standard deviation for the published CLIPs, used where a folder states none.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_LARGEST = 4096  # side of a network's pictures, in pixels


@dataclass(frozen=True)
class Processing:
    """How a network takes pictures.

    side: of its square pictures, in pixels. mean, std: [3, 1, 1], of the pictures that it was trained on.
    """

    side: int
    mean: Tensor
    std: Tensor

    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures [N, 3, h, w] in [0, 1] as [N, 3, side, side], normalised, float32, differentiable.

        They are stretched to the square without aliasing.
        """
        x = pictures.to(self.mean)
        if x.shape[-2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)
        return (x - self.mean) / self.std


def read_processing(
    folder: Path,
    side: int,
    device: torch.device | str = "cpu",
    mean: Sequence[float] = MEAN,
    deviation: Sequence[float] = DEVIATION,
) -> Processing:
    """The processing that a model's folder states.

    Args:
        folder: the model's folder.
        side: the side of its pictures where the folder states none.
        device: of the result's tensors.
        mean, deviation: of the pictures that it was trained on, where the folder states none.

    Raises OSError or ValueError where a file cannot be read, or asks for pictures that are not square.
    """
    stated: dict[str, Any] = {}
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            stated |= read_object(folder / name)
    stated |= stated.get("image_processor") or {}
    size = stated.get("size") or side
    if isinstance(size, dict):
        sides = {size[key] for key in ("height", "width", "shortest_edge") if key in size}
        if len(sides) != 1:
            raise ValueError(f"pictures of {size}")
        (size,) = sides
    if not (isinstance(size, (int, float)) and 1 <= size <= _LARGEST):
        raise ValueError(f"pictures of {size!r:.40}")
    said = stated.get("image_mean") or mean, stated.get("image_std") or deviation
    return Processing(int(size), *(torch.tensor(list(v), device=device).view(3, 1, 1) for v in said))
