"""Recognises errors that mean a lack of memory, of whichever library."""

from __future__ import annotations

import errno

import torch

from velatura_protocol.errors import VelaturaError

_CODE = "out-of-memory"
_PHRASES = ("can't allocate memory", "not enough memory", "out of memory", "alloc_failed")
"""Parts of the messages of torch's CPU allocators on Linux and Windows, of devices' drivers and of cuBLAS,
which raise a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device or the machine has too little memory."""
    if isinstance(error, VelaturaError):
        return error.code == _CODE
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):  # a file of weights that could not be mapped
        return error.errno == errno.ENOMEM
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in message for phrase in _PHRASES)


def as_velatura_error(error: BaseException) -> VelaturaError:
    """The error `out-of-memory`, with the message of `error` as its detail."""
    return VelaturaError(
        _CODE,
        "There is too little memory for this edit; select less or make fewer variations, then try again.",
        retryable=True,
        detail=str(error)[:500],
    )
