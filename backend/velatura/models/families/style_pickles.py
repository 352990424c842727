"""Reads the generator in a pickle of stylegan2-ada-pytorch, without its code.

Such a file has whole networks: each module is stored as the source code of its class with the module's
state, and loading it as intended runs that source. Here the source is dropped, and the state is read as plain
data: the pickle may name only the few functions and classes that such a file needs. Each stands for a
function of this module or a plain container; any other name ends the reading.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple, cast

import torch
from torch import Tensor

_DEEPEST = 16  # modules within modules
_LARGEST = 2**40  # of a size or a step of a tensor
_LONGEST = 100  # characters of an attribute that is read
_NUMBERS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "u1": "B", "b1": "?"}


class _Table(dict[Any, Any]):
    """In place of a dictionary whose entries are attributes too."""


class _Network(NamedTuple):
    """A stored module: the name of its class, and its attributes."""

    name: str
    state: dict[Any, Any]


class _Storage(NamedTuple):
    """The numbers of a tensor, in one row."""

    values: Tensor


class _NumberKind:
    """In place of numpy.dtype: the kind of a number by numpy's name for it, 'f8'."""

    def __init__(self, name: object = "", *_: object) -> None:
        self.name = name if isinstance(name, str) else ""

    def __setstate__(self, _: object) -> None:
        pass


class _Nothing(dict[Any, Any]):
    """In place of everything, when only the names in a pickle are looked at."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __setstate__(self, _: object) -> None:
        pass


def read(file: BinaryIO) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of the averaged generator by their names, and the plain attributes of each of its modules
    by the module's name, '' for the generator.

    All names in the pickle are looked at before anything is made of it.

    Raises pickle.UnpicklingError for a pickle that names anything else, and for one of other content.
    """
    data = file.read()
    _Unpickler(data, dict.fromkeys(_KNOWN, _Nothing)).load()
    content = _Unpickler(data, _KNOWN).load()
    network = content.get("G_ema") if isinstance(content, dict) else None
    if not isinstance(network, _Network):
        raise pickle.UnpicklingError("there is no averaged generator, G_ema, in it")
    tensors: dict[str, Tensor] = {}
    about: dict[str, Any] = {}
    _collect(network, "", tensors, about, 0)
    return tensors, about


def _collect(
    network: _Network, name: str, tensors: dict[str, Tensor], about: dict[str, Any], depth: int
) -> None:
    if depth > _DEEPEST:
        raise pickle.UnpicklingError("modules are nested too deep")
    about[name] = {"class": network.name} | {
        key: value for key, value in network.state.items() if isinstance(key, str) and _is_plain(value)
    }
    prefix = f"{name}." if name else ""
    for kind in ("_parameters", "_buffers"):
        tensors |= {
            f"{prefix}{key}": value
            for key, value in _entries(network.state.get(kind)).items()
            if isinstance(value, Tensor)
        }
    for key, value in _entries(network.state.get("_modules")).items():
        if isinstance(value, _Network):
            _collect(value, f"{prefix}{key}", tensors, about, depth + 1)


def _is_plain(value: object) -> bool:
    """Whether an attribute is a short text, a finite number, or None."""
    if isinstance(value, str):
        return len(value) < _LONGEST
    return value is None or (isinstance(value, int | float) and abs(value) < 2**53)


def _entries(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows some names only."""

    def __init__(self, data: bytes, known: Mapping[tuple[str, str], Callable[..., Any]]) -> None:
        super().__init__(io.BytesIO(data))
        self._known = known

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return self._known[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}") from None


def _network(meta: object) -> _Network:
    if not isinstance(meta, dict) or not isinstance(meta.get("state"), dict):
        raise pickle.UnpicklingError("a module without state")
    return _Network(str(meta.get("class_name", ""))[:100], meta["state"])


def _storage(data: object) -> _Storage:
    """A storage, which pickle has as the bytes of a file of torch. torch's own function for it would load the
    bytes as a pickle without any restriction."""
    if not isinstance(data, bytes):
        raise pickle.UnpicklingError("a storage without bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is to give these storages up, which old files have
        storage: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if not isinstance(storage, torch.storage.TypedStorage):
            raise pickle.UnpicklingError("a storage of another kind")
        values = torch.empty(0, dtype=storage.dtype)
        return _Storage(values.set_(storage.untyped(), 0, (len(storage),), (1,)))


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """A tensor of a storage. Its numbers all lie in the storage, and are no more than the storage has."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without storage")
    sizes, steps, (first,) = _wholes(size), _wholes(stride), _wholes((offset,))
    if len(sizes) != len(steps):
        raise pickle.UnpicklingError("a tensor without shape")
    count, there = math.prod(sizes), len(storage.values)
    if count == 0:
        return storage.values.new_zeros(sizes)
    last = first + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    if last >= there or count > there:
        raise pickle.UnpicklingError("a tensor larger than its numbers")
    return torch.as_strided(storage.values, sizes, steps, first).clone()


def _wholes(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple):
        raise pickle.UnpicklingError("a tensor without shape")
    found: list[int] = []
    for number in cast("tuple[object, ...]", values):
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < _LARGEST:
            raise pickle.UnpicklingError("a tensor of an impossible shape")
        found.append(number)
    return tuple(found)


def _parameter(value: object, *_: object) -> object:
    return value


def _number(kind: object, data: object = None) -> object:
    """A number of numpy's; None for a kind that no attribute of a network has."""
    form = _NUMBERS.get(kind.name) if isinstance(kind, _NumberKind) else None
    if form is None or not isinstance(data, bytes) or len(data) != struct.calcsize(f"<{form}"):
        return None
    return struct.unpack(f"<{form}", data)[0]


def _bytes(text: object, encoding: object) -> bytes:
    """Bytes, which older protocols have as a text of the characters 0 to 255."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes of an unknown encoding")
    return text.encode("latin1")


def _text(value: object) -> object:
    """torch.device and torch.dtype as text."""
    return str(value)


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _network,
    ("dnnlib.util", "EasyDict"): _Table,
    ("dnnlib", "EasyDict"): _Table,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("_codecs", "encode"): _bytes,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch", "Size"): tuple,
    ("torch", "device"): _text,
    ("numpy", "dtype"): _NumberKind,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy._core.multiarray", "scalar"): _number,
}
"""The names that such a pickle may have, with their replacements."""
