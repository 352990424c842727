"""What every family of models looks like on the disk. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Found:
    """A model on the disk.

    Args:
        family: the key of its family.
        form: of its files.
        path: of the folder or the file.
        size: the side of its pictures in pixels.
        traits: further features.
        parts: where each part is: a folder or a file.
        missing: parts that were found nowhere.
    """

    family: str
    form: Literal["folder", "file", "gguf"]
    path: Path
    size: int
    traits: frozenset[str] = frozenset()
    parts: Mapping[str, Path] = field(default_factory=dict[str, Path])
    missing: tuple[str, ...] = ()
    prediction: str = ""
    clip_skip: int | None = None
