"""Values that can be kept: tensors, numbers, texts, and lists, tuples, mappings and dataclasses of these.

On disk a value is a safetensors file. It has each tensor once, under its digest, and a JSON text in the
metadata that describes the structure. It has no code: a dataclass is written under the name that `storable`
registered, and reading a file makes instances of registered classes only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from safetensors.torch import load, save
from torch import Tensor

from velatura_protocol.messages import digest

from .keys import tensor_digest

FORMAT = 3
"""The version of the files. 1 were the trajectories before protocol 1.5; in 2 a trajectory had None for
unknown levels."""

_CLASSES: dict[str, type] = {}
_PLAIN = (type(None), bool, int, float, str)
_T = TypeVar("_T")


def storable(name: str) -> Callable[[type[_T]], type[_T]]:
    """Registers a dataclass that files may contain, under a name that stays when the class is renamed.

    Raises TypeError if the class is no dataclass, computes a field itself, or the name is taken by another
    class.
    """

    def register(cls: type[_T]) -> type[_T]:
        if not _is_made_of_its_fields(cls):
            raise TypeError(f"{cls.__name__} is not a dataclass that is made of all its fields")
        known = _CLASSES.setdefault(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.__name__} and {known.__name__} have one name, {name!r}")
        _CLASSES[name] = cls
        return cls

    return register


def _is_made_of_its_fields(cls: type) -> bool:
    return is_dataclass(cls) and all(field.init for field in fields(cls))


def nbytes(value: Any) -> int:
    """The memory in bytes of a value's tensors. Shared memory counts once; a view counts as its whole
    base."""
    return sum({storage.data_ptr(): storage.nbytes() for storage in _storages(value)}.values())


def pack(key: str, value: Any) -> bytes:
    """The file of a value. Raises TypeError for types that the module does not handle."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps({"format": FORMAT, "key": key, "value": _described(value, tensors)})
    return save(tensors, {"value": text, "digest": digest(text.encode())})


def unpack(key: str, data: bytes, device: torch.device | str = "cpu") -> Any:
    """The value that `pack` wrote, its tensors on the device; they can take part in a gradient.

    Raises errors of many types if the bytes are damaged or not a file of this key.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8:end])["__metadata__"]
    if digest(metadata["value"].encode()) != metadata["digest"]:
        raise ValueError("the metadata is damaged")
    written = json.loads(metadata["value"])
    if (written["format"], written["key"]) != (FORMAT, key):
        raise ValueError("it is of another format or key")
    with torch.inference_mode(False):  # inference tensors could take part in no gradient
        tensors = {name: x.to(device) for name, x in _whole(load(data))}
    return _value(written["value"], tensors)


def _whole(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file and their names. Raises ValueError for a damaged tensor."""
    for name, x in tensors.items():
        if tensor_digest(x) != name:
            raise ValueError("a tensor is damaged")
        yield name, x


def _described(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON; its tensors are added to `tensors`. A mapping is read back as a dict."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Tensor):
        name = tensor_digest(value)
        if name not in tensors:
            tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if type(value) in (list, tuple):
        items = [_described(item, tensors) for item in value]
        return items if type(value) is list else {"tuple": items}
    if isinstance(value, Mapping):
        return {"dict": [[_described(part, tensors) for part in item] for item in value.items()]}
    for name, cls in _CLASSES.items():
        if type(value) is cls:
            parts = {field.name: getattr(value, field.name) for field in fields(value)}
            return {"class": name, "fields": {key: _described(item, tensors) for key, item in parts.items()}}
    raise TypeError(f"{type(value).__name__} cannot be written; see `storable`")


def _value(described: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `_described`."""
    if isinstance(described, list):
        return [_value(item, tensors) for item in described]
    if not isinstance(described, dict):
        return described
    if "tensor" in described:
        return tensors[described["tensor"]]
    if "tuple" in described:
        return tuple(_value(item, tensors) for item in described["tuple"])
    if "dict" in described:
        return {_value(key, tensors): _value(item, tensors) for key, item in described["dict"]}
    parts = {key: _value(item, tensors) for key, item in described["fields"].items()}
    return _CLASSES[described["class"]](**parts)


def _storages(value: Any) -> Iterator[torch.UntypedStorage]:
    if isinstance(value, Tensor):
        yield value.untyped_storage()
        return
    if is_dataclass(value) and not isinstance(value, type):
        items = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        items = value.values()
    else:
        items = value if isinstance(value, (list, tuple)) else ()
    for item in items:
        yield from _storages(item)
