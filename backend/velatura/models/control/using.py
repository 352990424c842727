"""Gives a model as guides lead it."""

from __future__ import annotations

from collections.abc import Collection, MutableMapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from velatura.cache.keys import tensor_digest
from velatura.weights.digests import Digests, contents

from ..latent import LatentModel
from . import ip_adapter, networks
from .control import ControlGuide
from .guide import Guide
from .listing import CONTROL, GuideFile
from .look import LookGuide
from .residuals import Map


class Use(NamedTuple):
    """A guide in one edit.

    Args:
        file: of the guide.
        picture: that leads, [1, 3, h, w] in [0, 1]: a map for a ControlNet, a picture for an IP-Adapter.
        number: of the map's kind in a union; -1 for others.
        strength: 1 as trained.
        begin: the share of a run before which it does nothing.
        end: the share of a run from which on it does nothing.
    """

    file: GuideFile
    picture: Tensor
    number: int = -1
    strength: float = 1.0
    begin: float = 0.0
    end: float = 1.0


class Led(NamedTuple):
    """A guide that led an edit, for its recipe."""

    title: str
    digest: str
    strength: float


def led(
    model: LatentModel,
    uses: Sequence[Use],
    loaded: MutableMapping[str, Any],
    digests: Digests,
    unseeing: Collection[str] = ("",),
) -> tuple[LatentModel, list[Led]]:
    """The model as guides lead it, which shares all weights.

    Args:
        model: in memory.
        uses: the guides, each with its picture.
        loaded: the guides in memory by their ids; those that are not used are taken out of it.
        digests: of files.
        unseeing: see `LookGuide`.

    Raises:
        VelaturaError: `unknown-model` for a guide that cannot be read or was made for another model.
    """
    wanted = {use.file.id for use in uses}
    for id in [id for id in loaded if id not in wanted]:
        del loaded[id]
    guides: list[Guide] = []
    names: list[str] = []
    told: list[Led] = []
    for use in uses:
        if use.file.id not in loaded:
            loaded[use.file.id] = _loaded(use.file, model)
        guides.append(_guide(use, loaded[use.file.id], unseeing))
        digest = digests.of([use.file.path])
        encoder = digests.of(*contents(use.file.encoder)) if use.file.encoder else ""
        told.append(Led(use.file.title, digest, use.strength))
        settings = (use.number, use.strength, use.begin, use.end)
        names.append(f"{digest} {encoder} {tensor_digest(use.picture)} {settings!r}")
    seen = sorted(unseeing) if any(use.file.kind != CONTROL for use in uses) else ""
    return model.guided(guides, f"{' and '.join(names)} {seen!r}"), told


@torch.inference_mode(False)  # weights made in inference mode can take part in no gradient, even if frozen
def _loaded(file: GuideFile, model: LatentModel) -> Any:
    if file.kind == CONTROL:
        return networks.load(file.path, file.title, file.family, model)
    return ip_adapter.load(file, model)


def _guide(use: Use, network: Any, unseeing: Collection[str]) -> Guide:
    part = (use.strength, use.begin, use.end)
    if use.file.kind == CONTROL:
        return ControlGuide(network, Map(use.picture, use.number), *part)
    return LookGuide(network.projections, network.tokens(use.picture), *part, unseeing)
