"""Writes the files of a job's layers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from velatura.files.atomic import check_writable
from velatura.files.compare import write_comparison
from velatura.files.images import Image, Layer
from velatura.files.masks import as_paint, paths_for, write_mask
from velatura.files.writing import ENDINGS, NAMES, check, write
from velatura_protocol.errors import VelaturaError


@dataclass(frozen=True)
class Output:
    """Where a result goes.

    path: its ending says the format (see `velatura.files.writing`). compare: the file of the comparison, or
    None. read: files that must not be written over. replace: whether a file that is there is replaced.
    """

    path: Path
    compare: Path | None
    read: Sequence[Path | None]
    replace: bool = True


def check_out(path: Path, read: Sequence[Path | None]) -> None:
    """Raise `bad-request` for a file that cannot be written. read: files that must not be written over."""
    try:
        _check_place(path)
        check_writable(path)
    except OSError as error:
        sentence = f"{path} cannot be written: {error.strerror or error}. Choose another folder or name."
        raise VelaturaError("bad-request", sentence) from error
    if any(source and is_same_file(path, source) for source in read):
        raise VelaturaError(
            "bad-request", f"{path} is also a picture to read; name another file for the result."
        )


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise VelaturaError("bad-request", f"There is no folder {path.parent} for the result; make it first.")
    if path.is_dir():
        raise VelaturaError("bad-request", f"{path} is a folder; name a file for the result.")
    if path.exists() and not path.is_file():
        raise VelaturaError("bad-request", f"{path} is a device or a pipe; name a file for the result.")


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two names stand for one file, also by links, and also where neither is there yet."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def check_format(path: Path, source: Image, insert: str) -> None:
    """Raise `bad-request` for a format that cannot hold the result.

    Args:
        path: the result's.
        source: the picture to edit.
        insert: see `kinds.ResultKind`.
    """
    if path.suffix.lower() not in ENDINGS:
        raise VelaturaError("bad-request", f"{path} must end in {NAMES}; give it such a name.")
    if insert == "selections" and path.suffix.lower() not in _OF_MASKS:
        raise VelaturaError("bad-request", f"{path} cannot hold masks; write .png, .ora or .psd.")
    if insert == "selections" and path.suffix.lower() == ".png":
        return  # the masks alone
    check(path, source)


def _write(out: Output, source: Image, mask: Image | None, layers: list[Layer], title: str) -> list[Path]:
    """Write the files of a method that edits; return those of the result. layers: the best first."""
    write(out.path, source, layers, title)
    if out.compare:
        write_comparison(out.compare, source, mask, layers[0])
    return [out.path]


def _write_masks(
    out: Output, source: Image, _mask: Image | None, layers: list[Layer], title: str
) -> list[Path]:
    """Write the files of a method that selects; return those of the masks. --compare shows the first mask."""
    files = [out.path]
    painted = [as_paint(layer, source) for layer in layers]
    if out.path.suffix.lower() == ".png":
        files = paths_for(out.path, [layer.title for layer in layers])
        for path in files:
            check_out(path, out.read)
            if not out.replace and path != out.path and path.exists():
                raise VelaturaError(
                    "bad-request", f"{path} is there already; --force replaces it, or name another file."
                )
        for path, layer in zip(files, layers, strict=True):
            write_mask(path, layer)
    else:
        write(out.path, source, painted, title)
    if out.compare:
        write_comparison(out.compare, source, layers[0].image, painted[0])
    return files


_OF_MASKS = (".png", ".ora", ".psd")
WRITERS = {"layers": _write, "selections": _write_masks}
