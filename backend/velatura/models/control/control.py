"""A ControlNet at work: added to the passes of a model within a part of a run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition

from ..latent import LatentModel
from .residuals import CONTROLS, Arguments, Map

_HALF_A_TIME = 5e-4  # a step that begins where a part ends is no step of that part


class ControlGuide:
    """Adds a ControlNet's result to passes of a denoising network.

    Args:
        network: the ControlNet, on the model's device.
        map: that it is shown.
        strength: of its result, 1 as trained.
        begin: the share of a run before which it does nothing, in [0, 1].
        end: the share of a run from which on it does nothing.
    """

    in_place = True

    def __init__(self, network: nn.Module, map: Map, strength: float, begin: float, end: float) -> None:
        self._network, self._map, self._strength = network, map, strength
        self._begin, self._end = begin - _HALF_A_TIME, end - _HALF_A_TIME
        self._control = CONTROLS[type(network).__name__]
        self._seen: dict[tuple[int, int], Tensor] = {}

    @property
    def networks(self) -> list[nn.Module]:
        """See `Guide`."""
        return [self._network]

    def mark(self, prompt: str, condition: Condition) -> Condition:
        """See `Guide`."""
        return condition

    @contextmanager
    def during(
        self, model: LatentModel, begun: float, condition: Condition, attend: Attend | None
    ) -> Generator[Attend | None]:
        """See `Guide`. The denoising network is hooked for this one pass only."""
        if not self._begin <= begun < self._end:
            yield attend
            return

        def add(_: nn.Module, args: tuple[Any, ...], kwargs: Arguments) -> tuple[tuple[Any, ...], Arguments]:
            call = _named(args) | kwargs
            seen = self._at(model, _size(call))
            added = self._control.added(self._network, model, seen, self._map.kind, self._strength, call)
            return args, kwargs | _cast(added, _dtype(model))

        handle = model.networks[model.denoiser].register_forward_pre_hook(add, with_kwargs=True)
        try:
            yield attend
        finally:
            handle.remove()

    def _at(self, model: LatentModel, size: tuple[int, int] | None) -> Tensor:
        """The map as the ControlNet reads it, one row, for a pass over latents that are so large."""
        height, width = size or (0, 0)
        if (height, width) not in self._seen:
            sides = (height * model.factor, width * model.factor) if size else self._map.pixels.shape[-2:]
            with torch.inference_mode(False), torch.no_grad():
                seen = self._control.seen(model, self._network, self._map.at(*sides))
                self._seen[height, width] = seen.clone()  # no tensor of inference, which gradients refuse
        return self._seen[height, width]


def _named(args: tuple[Any, ...]) -> Arguments:
    """The arguments that families pass without a name, with the names that diffusers gives them."""
    if len(args) == 1:  # Qwen-Image's tokens
        return {"hidden_states": args[0]}
    is_list = bool(args) and isinstance(args[0], list)  # Z-Image
    return dict(zip(("x", "t", "cap_feats") if is_list else ("sample", "timestep"), args, strict=False))


def _size(call: Arguments) -> tuple[int, int] | None:
    """Height and width of the latents of a pass; None where the call has tokens only, which are those of the
    map's own size."""
    x = call.get("sample", call.get("hidden_states", call.get("x")))
    if isinstance(x, list):
        x = x[0][:, 0]
    if not isinstance(x, Tensor) or (x.ndim == 3 and "x" not in call):
        return _size_of_tokens(call)
    return int(x.shape[-2]), int(x.shape[-1])


def _size_of_tokens(call: Arguments) -> tuple[int, int] | None:
    """Height and width of latents whose tokens are 2 x 2 of them, from the positions of the tokens."""
    if "img_shapes" in call:
        _, height, width = call["img_shapes"][0][0]
        return 2 * height, 2 * width
    if "img_ids" in call:
        ids = call["img_ids"]
        own = ids[ids[:, 0] == 0]
        return 2 * int(own[:, 1].max() + 1), 2 * int(own[:, 2].max() + 1)
    return None


def _dtype(model: LatentModel) -> torch.dtype:
    return next(model.networks[model.denoiser].parameters()).dtype


def _cast(added: Any, dtype: torch.dtype) -> Any:
    """The additions in the dtype of the network."""
    if isinstance(added, Tensor):
        return added.to(dtype)
    if isinstance(added, dict):
        return {name: _cast(value, dtype) for name, value in added.items()}
    return [_cast(value, dtype) for value in added]
