"""Chooses the device that networks run on and names it: for the worker, `velatura evaluate` and the doctor.

`python -m velatura.weights.device WANTED` prints a JSON list: PyTorch's version; the device's name, '' for a
processor; the sentence that says why there is no such device, or ''.
"""

from __future__ import annotations

import json
import platform
import sys

import torch

from velatura_protocol.errors import VelaturaError

AUTO = "auto"


def choose(wanted: str = AUTO) -> str:
    """The name of a working device, as torch names it.

    wanted: 'auto' for the first of a CUDA (or ROCm) GPU, Intel's GPU (XPU), Apple's GPU and the processor; or
    a device, 'cpu', 'cuda:0' …. Raises `bad-request` for a device that does not exist or does not work.
    """
    if wanted == AUTO:
        if torch.cuda.is_available():
            return "cuda:0"
        if torch.xpu.is_available():
            return "xpu:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted).item()  # so that it fails here and not in the first edit
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # NotImplementedError: 'meta'
        raise VelaturaError(
            "bad-request",
            f"There is no device {wanted!r} here; choose auto or cpu instead.",
            detail=str(error)[:500],
        ) from error
    return wanted


def name(device: torch.device | str) -> str:
    """The device's name for a person."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_name(device)
    if kind == "xpu":
        return torch.xpu.get_device_name(device)
    if kind == "mps":
        return f"{platform.machine()} GPU (MPS)"
    return f"{platform.machine()} {kind.upper()}"


def main(wanted: str) -> None:
    """Prints the module's JSON list, for a process that does not import torch itself."""
    title = fault = ""
    try:
        device = choose(wanted)
        title = name(device) if device != "cpu" else ""
    except VelaturaError as error:
        fault = error.message
    print(json.dumps([torch.__version__, title, fault]))


if __name__ == "__main__":
    main(sys.argv[1])
