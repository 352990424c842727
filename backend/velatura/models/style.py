"""Loads style-based generators from folders that `velatura.models.families.style_files` describes. Imports no
torch.

`velatura models convert` writes such a folder from the checkpoints of StyleGAN2.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from velatura.generators.protocol import Generator
from velatura.generators.styles import STYLE
from velatura.weights.json_files import read_object
from velatura_protocol.rasters import MAX_SIDE

if TYPE_CHECKING:
    import torch

KIND, TITLE = STYLE, "a style-based generator (StyleGAN2)"
_CLASS = "StyleGAN2"


def recognise(path: Path) -> int | None:
    """The side of the pictures of the generator in a folder; None for other folders and for files."""
    try:
        config = read_object(path / "config.json")
    except (OSError, ValueError):
        return None
    side = config.get("size")
    right = config.get("_class_name") == _CLASS and type(side) is int and 0 < side <= MAX_SIDE
    return side if right else None


def load(path: Path, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Generator:
    """See `velatura.generators.kinds.Loader`. Raises ValueError or OSError for other content."""
    from .families import style_files
    from .families.style_generator import Styled

    return Styled(id, digest, style_files.read(path), device, dtype)
