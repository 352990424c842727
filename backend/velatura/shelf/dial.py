"""A dial, and the description in its file. Imports no torch."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, get_args

from velatura.weights.json_files import parse_json
from velatura_protocol.errors import VelaturaError
from velatura_protocol.reading import as_list, as_object

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["direction", "vector", "mapper"]

FORMAT = 1
ENDING = ".dial.safetensors"
LONGEST_TITLE = 60
LARGEST = 64 * 1024 * 1024  # bytes of a file; a mapper of the largest published generator has half of it
LARGEST_DESCRIPTION = 1024 * 1024
ID_DIGITS = 16  # hexadecimal


@dataclass(frozen=True)
class Dial:
    """A way to change what a generator makes, by degrees.

    Args:
        id: of its content (`content_id`); '' for one that is not kept yet.
        title: for the person, at most `LONGEST_TITLE` characters.
        generator: the digest of the model for which it was found; '' for one that ships with a model.
        kind: 'direction' moves S, 'vector' moves W+, 'mapper' is a network whose result moves W+.
        tensors: of a direction {"s0": [C_0], ...}, of a vector {"ws": [num_ws, w_dim]}, of a mapper its
            weights; float32 or float16.
        recipe: JSON: how it was found.
    """

    id: str
    title: str
    generator: str
    kind: Kind
    tensors: Mapping[str, Tensor]
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Entry:
    """A kept dial without its tensors.

    Args:
        id, title, generator, kind, recipe: as of `Dial`.
        path: its file.
        shipped: whether it came with a model, and cannot be renamed or removed.
    """

    id: str
    title: str
    generator: str
    kind: Kind
    recipe: Mapping[str, Any]
    path: Path
    shipped: bool = False


def checked_title(title: str) -> str:
    """A title in Unicode's normal form C, on one line. Raises `bad-request` for one that cannot be shown."""
    plain = unicodedata.normalize("NFC", " ".join(title.split()))
    if not 0 < len(plain) <= LONGEST_TITLE or not plain.isprintable():
        raise VelaturaError(
            "bad-request", f"The name of a slider has 1 to {LONGEST_TITLE} characters; enter another one."
        )
    return plain


def is_id(text: str) -> bool:
    """Whether it can be the id of a dial, and so a part of a file's name."""
    return len(text) == ID_DIGITS and all(c in "0123456789abcdef" for c in text)


def described(path: Path, *, shipped: bool = False) -> Entry:
    """The description in a file. Raises OSError, ValueError; the tensors are not read."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        if size > LARGEST:
            raise ValueError("it is too large")
        stream.seek(0)
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(2 * LARGEST_DESCRIPTION, size - 8):
            raise ValueError("it is cut off, or no slider")
        header = as_object(parse_json(stream.read(length))) or {}
    _check_whole(header, size - 8 - length)
    about = as_object(parse_json(_text(as_object(header.get("__metadata__")) or {}, "velatura").encode()))
    if about is None or about.get("format") != FORMAT:
        raise ValueError("it is of another version of Velatura")
    kind, id = _text(about, "kind"), _text(about, "id")
    if not _is_kind(kind) or not is_id(id):
        raise ValueError("it is of an unknown kind")
    try:
        title = checked_title(_text(about, "title"))
    except VelaturaError as error:
        raise ValueError(error.message) from None
    recipe = as_object(about.get("recipe")) or {}
    return Entry(id, title, _text(about, "generator"), kind, recipe, path, shipped)


def _check_whole(header: Mapping[str, object], size: int) -> None:
    """Raises ValueError unless the tensors that the header names fill the rest of the file."""
    ends = [0]
    for name, about in header.items():
        if name != "__metadata__":
            offsets = as_list((as_object(about) or {}).get("data_offsets")) or [-1]
            if type(offsets[-1]) is not int:
                raise ValueError("its header is damaged")
            ends.append(offsets[-1])
    if max(ends) != size:
        raise ValueError("it is cut off")


def _text(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise ValueError(f"it has no {key}")
    return value


def _is_kind(kind: str) -> TypeGuard[Kind]:
    return kind in get_args(Kind)
