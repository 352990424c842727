"""The precision of training."""

from __future__ import annotations

import torch


def is_bfloat16_fast(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 natively; emulation takes 8 to 40 times as long as float32.

    For a CPU: whether oneDNN has bfloat16 kernels for it (on x86: AVX-512 and later).
    """
    if device.type == "cpu":
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def mixed(device: torch.device) -> torch.autocast:
    """A context in which networks compute in bfloat16 where it is fast, else in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=is_bfloat16_fast(device))
