"""The file that is loaded for a model, by the memory that there is, known before a weight is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from velatura.weights import memory
from velatura_protocol.errors import VelaturaError

from . import placing, quantised
from .catalogue import ModelEntry
from .needs import Need, needs, total

Dtype = Callable[[ModelEntry], torch.dtype]
_EIGHT = 8.0  # bits of a weight from which on a file is nearer to the model than float8 is


class Choice(NamedTuple):
    """Args: entry: to be loaded. rung: `placing.QUANTISED`, or '' for the model itself."""

    entry: ModelEntry
    rung: str = ""


def choices(entry: ModelEntry, others: Sequence[ModelEntry], placement: str) -> list[Choice]:
    """All that may be loaded for a model: itself, then its files of fewer bits."""
    allowed = placement in (placing.AUTO, placing.QUANTISED)
    fewer = quantised.siblings(entry, others) if allowed else []
    in_place = [replace(entry, kind=one.kind, path=one.path, found=one.found) for one in fewer]
    return [Choice(entry), *(Choice(one, placing.QUANTISED) for one in in_place)]


def chosen(choices: Sequence[Choice], device: torch.device, dtype: Dtype, placement: str) -> Choice:
    """The best of the choices for which there is memory.

    That is the model itself where its weights fit in their own precision; else a file of at least 8 bits that
    fits; else the model in 8 bits; else a smaller file that fits; else the model, resting in the machine's
    memory.

    Args:
        choices: see `choices`.
        device: to compute on.
        dtype: of an entry's networks.
        placement: `placing.AUTO`, or the rung that the person set.

    Raises:
        VelaturaError: `out-of-memory` where the machine's memory does not even hold the smallest, with the
            bytes that are missing; `unknown-model` for a file that is cut off.
    """
    rungs = [_rung(choice.entry, device, dtype(choice.entry)) for choice in choices]
    possible = [(choice, rung) for choice, rung in zip(choices, rungs, strict=True) if rung]
    if not possible:
        _refuse(choices, dtype)
    ordered = sorted(possible, key=lambda one: _rank(*one, placement))  # stable: more bits first
    return ordered[0][0]


def _rank(choice: Choice, rung: str, placement: str) -> int:
    is_fewer = choice.rung == placing.QUANTISED
    if placement == placing.QUANTISED:
        return 0 if is_fewer else 1
    if rung in (placing.WHOLE, placing.ENCODERS):
        if not is_fewer:
            return 0
        found = choice.entry.found
        return 1 if found is not None and quantised.bits(found) >= _EIGHT else 3
    if rung == placing.EIGHT_BITS:
        return 5 if is_fewer else 2
    return 6 if is_fewer else 4


def _rung(entry: ModelEntry, device: torch.device, dtype: torch.dtype) -> str:
    """The rung by which a model will be placed; '' where the machine cannot hold it. Nothing is known of a
    model without files here, which passes."""
    if entry.found is None:
        return placing.WHOLE
    parts = needs(entry.found, _name(dtype))
    if _missing(total(parts)) > 0:
        return ""
    denoiser = next((name for name in ("transformer", "unet") if name in parts), "")
    if not denoiser:
        return placing.WHOLE
    sizes = {name: need.loaded for name, need in parts.items()}
    is_packed = parts[denoiser].made == 0 and entry.found.form == "gguf"
    in_8_bits = sizes[denoiser] if is_packed else sizes[denoiser] // dtype.itemsize
    return placing.first_that_fits(sizes, in_8_bits, denoiser, device)


def _missing(need: Need) -> int:
    """Bytes that the machine lacks for weights; 0 or less where they fit, with what it can put on the disk.

    Weights that stay as they are in the file need none of their own.
    """
    there, more = memory.available(), memory.swap()
    if there is None or more is None:
        return 0
    return need.made - there - more


def remark(entry: ModelEntry, dtype: torch.dtype) -> str:
    """A sentence for the person where a model will be read from the disk again and again; '' elsewhere."""
    there = memory.available()
    if entry.found is None or there is None:
        return ""
    need = total(needs(entry.found, _name(dtype))).loaded
    if need <= there:
        return ""
    return (
        f"The model takes {_size(need)} of the computer's memory and {_size(there)} are free, which is slow;"
        " close other programs or choose a smaller model."
    )


def _refuse(choices: Sequence[Choice], dtype: Dtype) -> None:
    least = min(
        total(needs(one.entry.found, _name(dtype(one.entry)))).made for one in choices if one.entry.found
    )
    there = (memory.available() or 0) + (memory.swap() or 0)
    raise VelaturaError(
        "out-of-memory",
        f"The model {choices[0].entry.title!r} takes {_size(least)} of the computer's memory and"
        f" {_size(there)} are free; close other programs, or choose a smaller model or its GGUF file.",
        retryable=True,
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _size(bytes: int) -> str:
    return f"{bytes / 1024**3:.1f} GiB" if bytes >= 1024**3 else f"{bytes / 1024**2:.0f} MiB"
