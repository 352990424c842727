"""Recognises faults of a device, after which the process that used it can use it no more."""

from __future__ import annotations

import torch

from .out_of_memory import is_out_of_memory

_PHRASES = (
    "cuda error",
    "hip error",
    "cudnn_status_",  # CUDNN_STATUS_EXECUTION_FAILED and others
    "cublas_status_",
    "miopenstatus",
    "level zero error",
    "mps backend error",
    "device-side assert",
    "unspecified launch failure",
    "an illegal memory access",
)
"""Parts of the messages of plain RuntimeErrors that drivers and their libraries raise."""


def is_device_fault(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, means that the device's context is lost.

    Lack of memory is none: the context survives it.
    """
    while error is not None:
        if is_out_of_memory(error):
            return False
        if isinstance(error, torch.AcceleratorError):
            return True
        message = str(error).lower()
        if isinstance(error, RuntimeError) and any(phrase in message for phrase in _PHRASES):
            return True
        error = error.__cause__ or error.__context__
    return False
