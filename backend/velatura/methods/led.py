"""The model of a run as its guides lead it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velatura.canvas.region import Seen
from velatura.generators.protocol import Generator
from velatura.models.control import maps
from velatura.models.control.using import Led, Use
from velatura.models.store import ModelStore

from .controlling import Chosen


def led(
    models: ModelStore,
    model: Generator,
    chosen: Sequence[Chosen],
    seen: Seen,
    rasters: Mapping[str, np.ndarray],
    unseeing: Collection[str],
) -> tuple[Generator, list[Led]]:
    """The model as guides lead it, and the guides for the recipe.

    Args:
        models: has it in memory.
        model: as adapters change it.
        chosen: the guides, checked.
        seen: the part of the layer that the model sees, which leads where no other layer does.
        rasters: the further ones of the request by name, as methods receive them.
        unseeing: see `controlling.unseeing`.

    Raises `unknown-model`, as `ModelStore.guided` and `maps.read`.
    """
    if not chosen:
        return model, []
    uses: list[Use] = []
    for one in chosen:
        settings = one.settings
        given = rasters[settings.picture] if settings.picture else None
        picture = seen.image if given is None else (given[..., :3] + 1.0) / 2.0
        alpha = None if given is None else given[..., 3:]
        if one.kind is not None:
            read = maps.as_map(picture, alpha, one.kind) if one.is_map else None
            if read is None:
                read = maps.read(picture, alpha, one.kind, models.guides().depth, models.device)
            picture = read
        part = (settings.strength / 100.0, settings.begin / 100.0, settings.end / 100.0)
        uses.append(Use(one.file, _tensor(picture, models.device), one.number, *part))
    return models.guided(model, uses, unseeing)


def named(told: Sequence[Led]) -> dict[str, Any]:
    """The guides that led a run, for its recipe; nothing without any."""
    return {"guides": [one._asdict() for one in told]} if told else {}


@torch.inference_mode(False)
def _tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """[h, w, 3] to [1, 3, h, w] float32."""
    values = np.ascontiguousarray(picture.clip(0.0, 1.0), np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)[None].to(device).contiguous()
