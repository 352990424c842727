"""Writes small adapters with random weights, in the formats that trainers write."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

RANK = 2


def random(*shape: int, seed: int = 0, size: float = 0.3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(*shape, generator=generator)


def low_rank(layer: nn.Module, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random A and B of a layer."""
    if isinstance(layer, nn.Conv2d):
        A = random(RANK, layer.in_channels, *layer.kernel_size, seed=seed)
        return A, random(layer.out_channels, RANK, 1, 1, seed=seed + 1)
    assert isinstance(layer, nn.Linear)
    return random(RANK, layer.in_features, seed=seed), random(layer.out_features, RANK, seed=seed + 1)


def kohya(path: Path, layers: dict[str, nn.Module], alpha: float = 1.0, **notes: str) -> Path:
    """A LoRA as kohya's trainer writes it. layers: by their names there, as 'lora_unet_…'."""
    tensors: dict[str, Tensor] = {}
    for i, (name, layer) in enumerate(layers.items()):
        A, B = low_rank(layer, 2 * i)
        tensors |= {f"{name}.lora_down.weight": A, f"{name}.lora_up.weight": B}
        tensors[f"{name}.alpha"] = torch.tensor(alpha)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, notes)
    return path
