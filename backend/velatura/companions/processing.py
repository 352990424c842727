"""What an image processor of transformers does to a picture, as far as networks here need it.

Read from its file instead of run: it would leave the device, round to 8 bits and stop gradients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.weights.json_files import read_object

#: Of the pictures the published CLIPs were trained on, for folders that do not say.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_LARGEST = 4096  # side of the pictures that a network takes


@dataclass(frozen=True)
class Processing:
    """side: of the square pictures that a network takes, in pixels. mean, std: [3, 1, 1], of those it was
    trained on."""

    side: int
    mean: Tensor
    std: Tensor

    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures [N, 3, h, w] in [0, 1] as the network takes them, float32, differentiable; stretched to
        the square without aliasing."""
        x = pictures.to(self.mean)
        if x.shape[-2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)
        return (x - self.mean) / self.std


def read_processing(folder: Path, side: int, device: torch.device | str = "cpu") -> Processing:
    """What a model's folder says; of what it does not, `side` and what the published CLIPs take.

    Raises OSError or ValueError where a file cannot be read, or asks for pictures that are not square."""
    said: dict = {}
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            said |= read_object(folder / name)
    said |= said.get("image_processor") or {}
    size = said.get("size") or side
    if isinstance(size, dict):
        sides = {size[key] for key in ("height", "width", "shortest_edge") if key in size}
        if len(sides) != 1:
            raise ValueError(f"pictures of {size}")
        (size,) = sides
    if not (isinstance(size, (int, float)) and 1 <= size <= _LARGEST):
        raise ValueError(f"pictures of {size!r:.40}")
    mean, std = said.get("image_mean") or MEAN, said.get("image_std") or DEVIATION
    return Processing(int(size), *(torch.tensor(list(v), device=device).view(3, 1, 1) for v in (mean, std)))
