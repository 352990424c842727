"""Random ControlNets and IP-Adapters of tiny models, written as people have them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from velatura.models.control.listing import CONTROL, LOOK, GuideFile


def randomised(network: nn.Module, scale: float = 0.3, seed: int = 3) -> nn.Module:
    """The network with random weights in its zero layers too, without which it would add nothing."""
    generator = torch.Generator().manual_seed(seed)
    for weight in network.parameters():
        if not bool(weight.any()):
            weight.data = (
                torch.randn(weight.shape, generator=generator) * scale / max(1, weight[0].numel()) ** 0.5
            )
    return network


def guide(path: Path, family: str, *, kinds: int = 0, encoder: Path | None = None) -> GuideFile:
    """The entry of a file, which the list would have if its sizes were the real ones."""
    kind = CONTROL if encoder is None else LOOK
    return GuideFile("0" * 32, path.stem, path, family, kind, kinds, encoder)


def bare(folder: Path, name: str = "canny.safetensors") -> Path:
    """The weights of a diffusers folder as a single file, without their configuration."""
    (found,) = folder.glob("*.safetensors")
    path = folder.parent / f"bare-{folder.name}" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(found.read_bytes())
    return path


def map_picture(height: int, width: int, seed: int = 9) -> Tensor:
    """A map [1, 3, h, w] in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 8, width // 8, generator=generator)
    return nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0.0, 1.0)


def write(path: Path, tensors: dict[str, Tensor]) -> Path:
    """A .safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, path)
    return path
