"""Which device networks run on, and what it is called: for the worker, `velatura evaluate` and the doctor.

`python -m velatura.weights.device WANTED` prints JSON of PyTorch's version, the device's name, '' for a
processor, and the sentence of why there is none, or ''.
"""

from __future__ import annotations

import json
import platform
import sys

import torch

from velatura_protocol.errors import VelaturaError

AUTO = "auto"


def choose(wanted: str = AUTO) -> str:
    """A device by the name that torch gives it, and that works.

    wanted: 'auto' for the first of a CUDA (or ROCm) GPU, Apple's GPU and the processor; or a device, 'cpu',
    'cuda:0' …. Raises `bad-request` for one that is not there.
    """
    if wanted == AUTO:
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted).item()  # fails here rather than in the first edit
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # NotImplementedError: 'meta'
        raise VelaturaError(
            "bad-request",
            f"There is no device {wanted!r} here; choose auto or cpu instead.",
            detail=str(error)[:500],
        ) from error
    return wanted


def name(device: torch.device | str) -> str:
    """What a person calls the device."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"{platform.machine()} GPU (MPS)"
    return f"{platform.machine()} {device.type.upper()}"


def main(wanted: str) -> None:
    """Prints what the module's text says, for a process that wants no torch of its own."""
    called = fault = ""
    try:
        device = choose(wanted)
        called = name(device) if device != "cpu" else ""
    except VelaturaError as error:
        fault = error.message
    print(json.dumps([torch.__version__, called, fault]))


if __name__ == "__main__":
    main(sys.argv[1])
