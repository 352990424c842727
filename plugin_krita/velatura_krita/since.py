"""The changes since a result was made: of itself, of its source, of its method."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from typing import Any

from . import recipes
from .capture import BAND, layout, reader_of
from .copies import evidence_of
from .places import node_by_id
from .velatura_protocol.comparison import Changes
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.rasters import DTYPES as SIZES
from .velatura_protocol.rasters import Raster
from .velatura_protocol.sights import LAYER


def changes(document: Any, node: Any, recipe: recipes.Recipe) -> Generator[int, None, Changes]:
    """Compares a result and its source with the recipe, a band of pixels in each turn; see `steps.Steps`."""
    made, now = recipe.evidence, None
    if made is not None:
        now = yield from evidence_of(node)
    source = node_by_id(document, recipe.source)
    is_hard = source is None or recipe.sees != LAYER  # the picture has changed in many places, or in none
    is_as_it_was = None if is_hard else (yield from _is_as_it_was(source, recipe.request))
    return Changes(
        is_moved=made is not None and now is not None and made.is_same(now) and made.rect != now.rect,
        is_painted=made is not None and not made.is_same(now),
        source=source.name() if source is not None else "",
        is_source_painted=is_as_it_was is False,
    )


def _is_as_it_was(source: Any, request: Mapping[str, Any]) -> Generator[int, None, bool | None]:
    """Whether the source has the pixels of the recipe; None where that cannot be told."""
    try:
        raster = Raster.from_wire(request["inputs"]["source"])
        channels, dtype = layout(source)
    except (VelaturaError, KeyError, TypeError):
        return None
    if (raster.channels, raster.dtype) != (channels, dtype):
        return False
    digest = raster.whole_digest or raster.digest
    x, y, width, height = raster.layer_rect if raster.whole_digest else raster.rect
    read, hashed = reader_of(source), hashlib.blake2b(digest_size=32)
    rows = max(1, BAND // (width * len(channels) * SIZES[dtype]))
    for top in range(y, y + height, rows):
        hashed.update(memoryview(read(x, top, width, min(rows, y + height - top))).cast("B"))
        yield 0
    return digest == f"blake2b:{hashed.hexdigest()}"
