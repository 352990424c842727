"""Names and shapes of the tensors in a file that torch wrote by pickle. Imports no torch, runs no code.

The list of adapters needs them of many files, and `velatura.models.pickles` takes seconds for each. The
pickle may name only the functions that rebuild a tensor; each stands for a function of this module, and any
other name ends the reading. No weight is read.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_LARGEST = 1 << 20  # bytes of a pickle without its weights
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the start of torch's files before the zip format
_BEFORE = 3  # pickles before the content in such a file: a mark, a version, the writer's machine
_NESTED = "string_to_param"  # the table of A1111's embeddings


class _Shape(NamedTuple):
    sizes: tuple[int, ...]


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in a file by their names; a name in the nested table has its name before it.

    Raises:
        ValueError: a file of another form, or one that names any other function.
        OSError: a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = _content(file)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{path.name} is no file of tensors: {error}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path.name} has no table of tensors")
    table: Mapping[Any, Any] = content
    found = {str(name): value.sizes for name, value in table.items() if isinstance(value, _Shape)}
    nested = table.get(_NESTED)
    if isinstance(nested, Mapping):
        inner: Mapping[Any, Any] = nested
        found |= {f"{_NESTED}.{key}": one.sizes for key, one in inner.items() if isinstance(one, _Shape)}
    return found


def _content(file: BinaryIO) -> object:
    start = file.read(len(_LEGACY))
    file.seek(0)
    if start == _LEGACY:
        data = io.BytesIO(file.read(_LARGEST))
        for _ in range(_BEFORE):
            _Unpickler(data).load()
        return _Unpickler(data).load()
    with zipfile.ZipFile(file) as packed:
        entry = next(one for one in packed.infolist() if one.filename.endswith("/data.pkl"))
        if entry.file_size > _LARGEST:
            raise ValueError(f"a pickle of {entry.file_size} bytes")
        with packed.open(entry) as inner:
            return _Unpickler(io.BytesIO(inner.read(_LARGEST))).load()


def _tensor(_: object, __: object, size: object, *___: object) -> _Shape:
    if not isinstance(size, tuple) or not all(type(n) is int and n >= 0 for n in size):
        raise pickle.UnpicklingError("a tensor without a size")
    return _Shape(size)


def _parameter(data: object, *_: object) -> object:
    return data


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): OrderedDict,
}


class _Unpickler(pickle._Unpickler):  # pyright: ignore - the stub lacks it; C's takes memory by a file's numbers
    """An unpickler in Python that knows some names only."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name.endswith("Storage"):
            return name
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None

    def persistent_load(self, pid: Any) -> None:
        """In place of the weights: nothing."""
