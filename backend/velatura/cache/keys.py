"""Names of what is kept: digests of everything that it was made from."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from velatura_protocol.messages import canonical, digest

MATHEMATICS = 1
"""Part of every name. Whoever changes what an inversion, a step, guidance or the probe of a dial computes
raises it, so that what was kept before is made anew."""


class Maker(Protocol):
    """A network that values are made with."""

    @property
    def digest(self) -> str:
        """Of its files."""

    @property
    def dtype(self) -> torch.dtype:
        """In which it computes."""

    @property
    def device(self) -> torch.device:
        """On which it computes."""


def key(**content: Any) -> str:
    """The name of what is made from `content`: JSON values, in which tensors may stand anywhere.

    Everything that the result depends on belongs into it: latents, prompts, levels, guidance, seeds. How it
    is computed is in it (`MATHEMATICS`). Raises VelaturaError `bad-request` for other values.
    """
    return digest(canonical({"mathematics": MATHEMATICS, "content": _named(content)}))


def key_of(model: Maker, **content: Any) -> str:
    """As `key`, of what this model makes: another one, or the same in another dtype or on another kind of
    device, makes something else."""
    kind = torch.device(model.device).type
    return key(model=model.digest, dtype=str(model.dtype), device=kind, **content)


def tensor_digest(x: Tensor) -> str:
    """`blake2b:` and 64 digits over a tensor's values, shape and dtype."""
    data = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return digest(canonical([str(x.dtype), list(x.shape), digest(data)]))


def _named(value: Any) -> Any:
    """The value with each tensor's digest in its place."""
    if isinstance(value, Tensor):
        return {"tensor": tensor_digest(value)}
    if isinstance(value, dict):
        return {name: _named(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(item) for item in value]
    return value
