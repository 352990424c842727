"""The number of variations that fit into the device's memory at a time, and the sentence where none does."""

from __future__ import annotations

from velatura.generators.protocol import Generator
from velatura.models import placing
from velatura.models.footprint import footprint
from velatura.models.latent import LatentModel
from velatura.weights import memory
from velatura_protocol.errors import VelaturaError

ROWS = 3
"""Rows of a pass for one variation: with the prompt, without it, and of the source. Methods with more rows,
or with gradients, are caught by the smaller batches after a failure (`Run.variations`)."""

_PLENTY = 512 * 1024
"""Bytes for each place of a latent and row that no network needs, so that nothing has to be counted."""


def makes_one_by_one(model: Generator) -> bool:
    """Whether every variation is made alone, so that its recipe gives the same bytes alone as among others.

    A matrix product over a batch rounds otherwise than one over a single row: with the embedded model on a
    CPU 46 of 1.8 million values differed by 1. A CPU gains nothing by a batch; a GPU does, and makes batches.
    """
    return model.device.type == "cpu"


def most_at_once(model: Generator, height: int, width: int, variations: int, held: int = 0) -> int:
    """The number of variations to make in one batch; all of them where nothing is known of the model.

    Where a picture can be decoded in tiles and would not fit as a whole, the model is told to do so.

    Args:
        model: on its device.
        height, width: of the picture that it sees, in pixels.
        variations: that are wanted.
        held: bytes that can be released for the edit, as of the cache.

    Raises:
        VelaturaError: `out-of-memory` if not even one fits. It says how much is missing, and what to change.
    """
    if not isinstance(model, LatentModel) or (there := memory.free(model.device)) is None:
        return variations
    model.tile_decoding(on=False)  # of an earlier edit
    there += held
    h, w = height // model.factor, width // model.factor
    if h * w * ROWS * variations * _PLENTY < there:
        return variations
    found = footprint(model)
    if found is None:
        return variations
    tile = model.tile_decoding(on=found.needed(h, w, 0) > there)
    if (needed := found.needed(h, w, ROWS, tile)) > there:
        raise VelaturaError(
            "out-of-memory",
            f"This edit needs about {_size(needed)} of memory and {_size(there)} are free;"
            " select less, close other programs, or choose a smaller model.",
            retryable=True,
        )
    while variations > 1 and found.needed(h, w, ROWS * variations, tile) > there:
        variations -= 1
    return variations


def remark(model: Generator) -> str:
    """The sentence that tells how the model's weights were made to fit; '' where they fit as they are."""
    return placing.REMARKS[model.rung] if isinstance(model, LatentModel) else ""


def _size(bytes: int) -> str:
    return f"{bytes / 1024**3:.1f} GiB" if bytes >= 1024**3 else f"{bytes / 1024**2:.0f} MiB"
