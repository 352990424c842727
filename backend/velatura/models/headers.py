"""The headers of files of weights: .safetensors and GGUF. Imports no torch.

A header has names, types and shapes of tensors, and notes. No weight is read, and nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from velatura.weights.json_files import told_if_it_passes
from velatura_protocol.errors import VelaturaError
from velatura_protocol.reading import as_object

PREDICTION = "modelspec.prediction_type"  #: the note of a checkpoint's author on its prediction
_MOST_TENSORS = 20_000  # Stable Diffusion XL has 2,500, and an adapter of every layer of FLUX.1 3,000
_LARGEST_HEADER = 100_000_000  # the format's own limit
_LONGEST = 1 << 20  # of a text in a GGUF header
_MOST_DIMENSIONS = 8
_BITS = {
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "F32": 32,
    "I32": 32,
    "U32": 32,
    "F16": 16,
    "BF16": 16,
    "I16": 16,
    "U16": 16,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "I8": 8,
    "U8": 8,
    "BOOL": 8,
    "F4": 4,
}
_GGML = {  # types by their numbers in the GGUF specification: name, and bits of a weight
    0: ("F32", 32),
    1: ("F16", 16),
    2: ("Q4_0", 4.5),
    3: ("Q4_1", 5),
    6: ("Q5_0", 5.5),
    7: ("Q5_1", 6),
    8: ("Q8_0", 8.5),
    9: ("Q8_1", 9),
    10: ("Q2_K", 2.625),
    11: ("Q3_K", 3.4375),
    12: ("Q4_K", 4.5),
    13: ("Q5_K", 5.5),
    14: ("Q6_K", 6.5625),
    15: ("Q8_K", 9.125),
    16: ("IQ2_XXS", 2.0625),
    17: ("IQ2_XS", 2.3125),
    18: ("IQ3_XXS", 3.0625),
    19: ("IQ1_S", 1.5625),
    20: ("IQ4_NL", 4.5),
    21: ("IQ3_S", 3.4375),
    22: ("IQ2_S", 2.5625),
    23: ("IQ4_XS", 4.25),
    24: ("I8", 8),
    25: ("I16", 16),
    26: ("I32", 32),
    27: ("I64", 64),
    28: ("F64", 64),
    29: ("IQ1_M", 1.75),
    30: ("BF16", 16),
}
_GGML_BITS = dict(_GGML.values())
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_TEXT, _ARRAY = 8, 9


@dataclass(frozen=True)
class Header:
    """What a file of weights says of itself.

    Args:
        shapes: by tensor name, in torch's order of dimensions.
        metadata: the file's own notes.
        dtypes: by tensor name, 'BF16', 'F8_E4M3', 'Q4_K', ...
        form: 'safetensors' or 'gguf'.
    """

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]
    dtypes: dict[str, str] = field(default_factory=dict[str, str])
    form: str = "safetensors"

    def count(self, pattern: str) -> int:
        """The number of different texts in the pattern's group, over all names that match the pattern."""
        matches = (re.match(pattern, name) for name in self.shapes)
        return len({match[1] for match in matches if match})

    def weights(self, prefix: str = "") -> dict[str, int]:
        """Bytes of the tensors whose names start with the prefix, by dtype."""
        bits: dict[str, float] = {}
        for name, dtype in self.dtypes.items():
            if name.startswith(prefix):
                bits[dtype] = bits.get(dtype, 0.0) + math.prod(self.shapes[name]) * bits_of(dtype)
        return {dtype: math.ceil(number / 8) for dtype, number in bits.items()}


def bits_of(dtype: str) -> float:
    """Bits of a weight of this dtype; 16 for an unknown one."""
    return _BITS.get(dtype) or _GGML_BITS.get(dtype, 16)


def read_header(path: Path) -> Header:
    """The header of a file of weights, whose form is read from its content and not its name.

    Raises `unknown-model`, with a sentence, for a file of another form or one that is cut off; `unavailable`
    where the process may open no further file.
    """
    try:
        with told_if_it_passes():
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:  # O_NONBLOCK opens a pipe without waiting; a pipe is not read
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("not a file")
            start = file.read(8)
            read = _gguf if start[:4] == b"GGUF" else _safetensors
            return read(file, start, status.st_size)
    except _CutOff as error:
        raise VelaturaError(
            "unknown-model", f"{path.name} is shorter than it says, so a download broke off; fetch it again."
        ) from error
    except (OSError, ValueError, struct.error, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise VelaturaError(
            "unknown-model",
            f"{path.name} is not a .safetensors or .gguf file; choose one, for other files can contain"
            " programs.",
            detail=str(error),
        ) from error


class _CutOff(Exception):
    """The file ends before the last tensor."""


def _safetensors(file: IO[bytes], start: bytes, size: int) -> Header:
    (length,) = struct.unpack("<Q", start)
    if not 2 <= length <= _LARGEST_HEADER or start[:2] == b"PK":
        raise ValueError(f"a header of {length} bytes")
    data = file.read(length)
    if len(data) < length:
        raise _CutOff if data.startswith(b"{") else ValueError(f"a header of {length} bytes")
    entries = as_object(json.loads(data))
    if entries is None:
        raise ValueError("no object")
    notes = as_object(entries.pop("__metadata__", {}))
    if notes is None or len(entries) > _MOST_TENSORS or not isinstance(notes.get(PREDICTION, ""), str):
        raise ValueError(f"{len(entries)} tensors")
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    last = 0
    described: dict[str, Any] = entries
    for name, entry in described.items():
        shape, dtype, (begin, end) = tuple(entry["shape"]), entry["dtype"], entry["data_offsets"]
        if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)) or len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"{name:.80} has the shape {shape!r:.80}")
        if begin > end or math.prod(shape) * bits_of(dtype) > 8 * (end - begin):
            raise ValueError(f"{name:.80} has the shape {shape!r:.80}, more than its bytes")
        last = max(last, end)
        shapes[name], dtypes[name] = shape, dtype
    if 8 + length + last > size:
        raise _CutOff
    return Header(shapes, {key: value for key, value in notes.items() if isinstance(value, str)}, dtypes)


def _gguf(file: IO[bytes], start: bytes, size: int) -> Header:
    """As the GGUF specification has it (versions 2 and 3): notes, then names, shapes, types and places."""
    (version,) = struct.unpack("<I", start[4:])
    if version not in (2, 3):
        raise ValueError(f"GGUF of version {version}")

    def take(count: int) -> bytes:
        if count > size:
            raise ValueError(f"{count} bytes in a file of {size}")
        data = file.read(count)
        if len(data) < count:
            raise _CutOff
        return data

    def number(form: str) -> Any:
        return struct.unpack(form, take(struct.calcsize(form)))[0]

    tensors, notes = number("<Q"), number("<Q")
    if tensors > _MOST_TENSORS or notes > _MOST_TENSORS:
        raise ValueError(f"{tensors} tensors and {notes} notes")
    metadata: dict[str, str] = {}
    for _ in range(notes):
        key = _text(take, number)
        value = _value(number("<I"), take, number, size)
        if value is not None:
            metadata[key] = value
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    end = 0
    for _ in range(tensors):
        name, dimensions = _text(take, number), number("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"{name:.80} has {dimensions} dimensions")
        shape = tuple(number("<Q") for _ in range(dimensions))[::-1]  # GGUF names the fastest dimension first
        dtype, bits = _GGML.get(number("<I"), ("", 0))
        if not dtype:
            raise ValueError(f"{name:.80} is of a type that GGUF does not have")
        if math.prod(shape) * bits > 8 * (1 << 53):
            raise ValueError(f"{name:.80} has the shape {shape!r:.80}")
        end = max(end, number("<Q") + math.ceil(math.prod(shape) * bits / 8))
        shapes[name], dtypes[name] = shape, dtype
    start_of_weights = file.tell() + -file.tell() % _alignment(metadata)
    if end and start_of_weights + end > size:
        raise _CutOff
    return Header(shapes, metadata, dtypes, "gguf")


def _alignment(metadata: Mapping[str, str]) -> int:
    """The multiple of bytes at which the weights start, 32 unless the file says another."""
    noted = metadata.get("general.alignment", "32")
    return int(noted) if noted.isdecimal() and 0 < int(noted) <= 1 << 20 else 32


def _text(take: Callable[[int], bytes], number: Callable[[str], Any]) -> str:
    length = number("<Q")
    if length > _LONGEST:
        raise ValueError(f"a text of {length} bytes")
    return take(length).decode("utf-8", "replace")


def _value(kind: int, take: Callable[[int], bytes], number: Callable[[str], Any], size: int) -> str | None:
    """A note as a text; None for an array, which is only skipped (a vocabulary has 150,000 entries)."""
    if kind == _TEXT:
        return _text(take, number)
    if kind != _ARRAY:
        return str(number(_SCALARS[kind]))
    of, count = number("<I"), number("<Q")
    if count > size:
        raise ValueError(f"an array of {count} values in a file of {size} bytes")
    if of == _TEXT:
        for _ in range(count):
            take(number("<Q"))
    elif of == _ARRAY:
        raise ValueError("an array of arrays")
    else:
        take(count * struct.calcsize(_SCALARS[of]))
    return None


def total(weights: Mapping[str, int]) -> int:
    """The sum of bytes over the dtypes."""
    return sum(weights.values())
