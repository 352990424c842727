"""The colours that stand for the parts of a picture in a paint layer. Imports no torch.

Part number i of a model has colour number i, so a model's parts keep their colours. Each colour has a name
that tells it apart from the others in words.
"""

from __future__ import annotations

from collections.abc import Sequence

COLOURS: tuple[tuple[str, int], ...] = (
    ("grey", 0x808080),
    ("blue", 0x2060C8),
    ("orange", 0xF09030),
    ("red", 0xD81828),
    ("brown", 0x704018),
    ("green", 0x18A038),
    ("yellow", 0xF8E820),
    ("purple", 0x8828B8),
    ("pink", 0xF888C8),
    ("cyan", 0x20C8E0),
    ("black", 0x101010),
    ("white", 0xF8F8F8),
    ("lime", 0xA0E818),
    ("navy", 0x102068),
    ("teal", 0x087070),
    ("maroon", 0x700828),
    ("olive", 0x787808),
    ("lilac", 0xB898F8),
    ("salmon", 0xF87868),
    ("sky blue", 0x88B8F8),
    ("beige", 0xE8D8A8),
    ("mint", 0x98F8B8),
    ("ochre", 0xB88818),
    ("magenta", 0xF818C8),
    ("indigo", 0x4830F8),
    ("dark green", 0x084818),
    ("silver", 0xC0C0C8),
    ("plum", 0x581858),
    ("rust", 0xB05020),
    ("turquoise", 0x30D898),
    ("slate", 0x486078),
    ("rose", 0xC85888),
    ("bright green", 0x28F028),
    ("azure", 0x1890F8),
    ("mauve", 0xA07898),
    ("sage", 0x88A880),
)
"""Names, and colours as 65536 R + 256 G + B (sRGB, 8 bits each)."""

MOST = len(COLOURS)
"""The most parts that a model may have."""


def legend(parts: Sequence[str]) -> str:
    """Each part with its colour: "face orange, hair brown". Raises ValueError for more than `MOST` parts."""
    return ", ".join(f"{part} {name}" for part, (name, _) in zip(parts, _of(parts), strict=True))


def colours(parts: Sequence[str]) -> list[int]:
    """The parts' colours as 65536 R + 256 G + B. Raises ValueError for more than `MOST` parts."""
    return [colour for _, colour in _of(parts)]


def _of(parts: Sequence[str]) -> tuple[tuple[str, int], ...]:
    if len(parts) > MOST:
        raise ValueError(f"{len(parts)} parts are more than the palette's {MOST} colours")
    return COLOURS[: len(parts)]
