"""Memory that has run out, whatever form the error has by the time that someone looks."""

from __future__ import annotations

import errno

import torch

from velatura_protocol.errors import VelaturaError

_CODE = "out-of-memory"
_SAID = ("can't allocate memory", "not enough memory", "out of memory", "alloc_failed")
"""By torch's allocators for the CPU on Linux and Windows, which have no exception of their own, by devices'
drivers, and by cuBLAS."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device or the machine has too little memory."""
    if isinstance(error, VelaturaError):
        return error.code == _CODE
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):  # a file of weights that could not be mapped
        return error.errno == errno.ENOMEM
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(sentence in said for sentence in _SAID)


def told(error: BaseException) -> VelaturaError:
    """The error `out-of-memory`, for the person."""
    return VelaturaError(
        _CODE,
        "There is too little memory for this edit; select less or make fewer variations, then try again.",
        retryable=True,
        detail=str(error)[:500],
    )
