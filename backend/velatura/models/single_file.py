"""The headers of single-file checkpoints: a length, and a JSON object of names, types and shapes."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from velatura.weights.json_files import parse_json
from velatura_protocol.errors import VelaturaError

PREDICTION = "modelspec.prediction_type"
"""The key of the prediction type in a file's metadata."""
_MOST_TENSORS = 20_000  # Stable Diffusion XL has 2,500
_LARGEST_HEADER = 100_000_000  # the format's own limit


@dataclass(frozen=True)
class Header:
    """Shapes by tensor name, and the file's own metadata."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]

    def count(self, pattern: str) -> int:
        """The number of different texts in the pattern's group, over all names that match the pattern."""
        matches = (re.match(pattern, name) for name in self.shapes)
        return len({match[1] for match in matches if match})


def read_header(path: Path) -> Header:
    """Reads a .safetensors header. Raises `unknown-model` if the file is of another format."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if not 2 <= length <= min(_LARGEST_HEADER, path.stat().st_size - 8):
                raise ValueError(f"a header of {length} bytes")
            entries = parse_json(file.read(length))
            size = path.stat().st_size
        metadata = entries.pop("__metadata__", {})
        if len(entries) > _MOST_TENSORS or not isinstance(metadata.get(PREDICTION, ""), str):
            raise ValueError(f"{len(entries)} tensors")
        shapes = {name: tuple(entry["shape"]) for name, entry in entries.items()}
        for name, shape in shapes.items():
            if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) > size:
                raise ValueError(f"{name:.80} has the shape {shape!r:.80}, more than the file holds")
        return Header(shapes, metadata)
    except (OSError, ValueError, struct.error, AttributeError, KeyError, TypeError) as error:
        raise VelaturaError(
            "unknown-model",
            f"{path.name} is not a .safetensors file; choose one, for other files can contain programs.",
            detail=str(error),
        ) from error
