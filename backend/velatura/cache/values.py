"""Values that can be kept: tensors, numbers, texts, and lists, tuples, mappings and dataclasses of such.

On disk a value is a safetensors file: each tensor once, under its digest, and in the metadata a JSON text
that says how they stand together. No code is in it: a dataclass is written by the name that `storable` gave
it, and only classes so named are made when a file is read.
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

FORMAT = 2
"""Of the files; 1 were the trajectories of version 0.1.0."""

_CLASSES: dict[str, type] = {}
_PLAIN = (type(None), bool, int, float, str)
_Class = TypeVar("_Class", bound=type)


def storable(name: str) -> Callable[[_Class], _Class]:
    """Decorates a dataclass that may stand in files, under a name that outlives the class's own.

    Raises TypeError if the class is no dataclass, computes a field itself, or the name is taken by another
    class.
    """

    def register(cls: _Class) -> _Class:
        if not is_dataclass(cls) or not all(field.init for field in fields(cls)):
            raise TypeError(f"{cls.__name__} is not a dataclass that is made of all its fields")
        known = _CLASSES.setdefault(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.__name__} and {known.__name__} have one name, {name!r}")
        _CLASSES[name] = cls
        return cls

    return register


def nbytes(value: Any) -> int:
    """Bytes that the tensors within a value hold, shared ones once; a view holds all that it is a view of."""
    return sum({storage.data_ptr(): storage.nbytes() for storage in _storages(value)}.values())


def pack(key: str, value: Any) -> bytes:
    """The file of a value. Raises TypeError for what is none of the module's values."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps({"format": FORMAT, "key": key, "value": _described(value, tensors)})
    return save(tensors, {"value": text, "digest": digest(text.encode())})


def unpack(key: str, data: bytes, device: torch.device | str = "cpu") -> Any:
    """The value that `pack` wrote, its tensors on the device; they can take part in a gradient.

    Raises all kinds of errors if the bytes are not a file of this key, or are damaged.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8:end])["__metadata__"]
    if digest(metadata["value"].encode()) != metadata["digest"]:
        raise ValueError("the metadata is damaged")
    said = json.loads(metadata["value"])
    if (said["format"], said["key"]) != (FORMAT, key):
        raise ValueError("it is of another format or key")
    with torch.inference_mode(False):  # else they could not
        tensors = {name: x.to(device) for name, x in _whole(load(data))}
    return _value(said["value"], tensors)


def _whole(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file and their names. Raises ValueError for one that is not what was written."""
    for name, x in tensors.items():
        if tensor_digest(x) != name:
            raise ValueError("a tensor is damaged")
        yield name, x


def _described(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON; its tensors are added to `tensors`. Of a mapping's class nothing remains."""
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


def _value(said: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `_described` described."""
    if isinstance(said, list):
        return [_value(item, tensors) for item in said]
    if not isinstance(said, dict):
        return said
    if "tensor" in said:
        return tensors[said["tensor"]]
    if "tuple" in said:
        return tuple(_value(item, tensors) for item in said["tuple"])
    if "dict" in said:
        return {_value(key, tensors): _value(item, tensors) for key, item in said["dict"]}
    parts = {key: _value(item, tensors) for key, item in said["fields"].items()}
    return _CLASSES[said["class"]](**parts)


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
