"""The dtype that networks compute in, by device and by network."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from velatura_protocol.errors import VelaturaError

BY_NAME: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "float32": torch.float32,
        "fp32": torch.float32,
        "float16": torch.float16,
        "fp16": torch.float16,
        "bfloat16": torch.bfloat16,
        "bf16": torch.bfloat16,
    }
)
"""The names that a person may give (`velatura models add --dtype`, the key `dtype` of models.json)."""


def chosen(device: torch.device | str, *, transformer: bool = False, wanted: str = "") -> torch.dtype:
    """The dtype of a model's networks on a device.

    float32 on a processor. Elsewhere float16 for UNets, whose weights are published in it and whose
    predictions have a ninth of bfloat16's error (DESIGN.md); bfloat16 for transformers, which overflow in
    float16, where the device multiplies in it.

    Args:
        device: of the networks.
        transformer: whether the denoising network is one.
        wanted: the person's choice, a name of `BY_NAME`; '' for none.

    Raises:
        VelaturaError: `bad-request` for another name.
    """
    if wanted:
        if wanted not in BY_NAME:
            raise VelaturaError(
                "bad-request", f"{wanted!r:.20} is no precision; choose float32, float16 or bfloat16."
            )
        return BY_NAME[wanted]
    if torch.device(device).type == "cpu":
        return torch.float32
    return torch.bfloat16 if transformer and multiplies_bfloat16(device) else torch.float16


def multiplies_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies matrices in bfloat16, and does not only emulate it."""
    kind = torch.device(device).type
    if kind == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "xpu":
        return torch.xpu.is_bf16_supported()
    return kind == "mps" and torch.backends.mps.is_macos_or_newer(14, 0)
