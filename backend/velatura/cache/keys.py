"""Names of kept values: digests of everything that a value is made from."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from velatura_protocol.messages import canonical, digest

MATHEMATICS = 1
"""Part of every name. Raise it with every change to the result of an inversion, a step, guidance or the probe
of a dial, so that values kept before are made again."""


class Maker(Protocol):
    """A network that makes values."""

    @property
    def digest(self) -> str:
        """The digest of its files."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The type in which it computes."""
        ...

    @property
    def device(self) -> torch.device:
        """The device on which it computes."""
        ...


@runtime_checkable
class Composed(Protocol):
    """A value of several, such as a seed that lies close to others."""

    @property
    def made_of(self) -> list[object]:
        """JSON that tells it from every other."""
        ...


def key(**content: Any) -> str:
    """The name of a value that is made from `content`: JSON values, with tensors anywhere in them.

    The content must have everything that the value depends on: latents, prompts, levels, guidance, seeds. The
    name adds the version of the computation (`MATHEMATICS`). Raises VelaturaError `bad-request` for other
    types of content.
    """
    return digest(canonical({"mathematics": MATHEMATICS, "content": _named(content)}))


def key_of(model: Maker, **content: Any) -> str:
    """As `key`, for a value that this model makes. The name differs for another model, dtype or kind of
    device."""
    kind = torch.device(model.device).type
    return key(model=model.digest, dtype=str(model.dtype), device=kind, **content)


def tensor_digest(x: Tensor) -> str:
    """`blake2b:` and 64 hexadecimal digits, over a tensor's values, shape and dtype."""
    data = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return digest(canonical([str(x.dtype), list(x.shape), digest(data.data)]))


def _named(value: Any) -> Any:
    """The value with each tensor replaced by its digest."""
    if isinstance(value, Tensor):
        return {"tensor": tensor_digest(value)}
    if isinstance(value, dict):
        return {name: _named(item) for name, item in value.items()}
    if isinstance(value, Composed):
        return {"made_of": value.made_of}
    if isinstance(value, (list, tuple)):
        return [_named(item) for item in value]
    return value
