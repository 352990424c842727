"""An IP-Adapter at work: attention to a picture beside that to the prompt (Ye et al. 2023, arXiv:2308.06721).

For the queries Q of an attention to the prompt, with the states of the picture's tokens c_i (eq. 5):

    Z = Attention(Q, K, V) + lambda Attention(Q, c_i W_k', c_i W_v')

A U-Net's attention is held by `velatura.models.attention`, so the summand is a function around the
`attend` of a call, whichever method has set that. FLUX.1 takes its queries before positions and adds the
summand behind a block, so hooks on the blocks add it there, also beside any `attend`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from velatura.attention.places import Attend, Place
from velatura.diffusion.condition import Condition

from ..latent import LatentModel

SEES = "sees"
"""The part of a condition that says how far its rows see the picture, [N, 1] of 0 or 1."""
_HALF_A_TIME = 5e-4


class Projections(NamedTuple):
    """W_k' and W_v' of one attention."""

    key: nn.Linear
    value: nn.Linear


class LookGuide:
    """Makes pictures look like another one.

    The rows of a prompt that is led away from, or that describes the layer as it is, see an empty picture, as
    in training.

    Args:
        projections: by the names of the attentions.
        tokens: of the picture and of an empty one, each [1, L, d].
        strength: lambda.
        begin: the share of a run before which it does nothing, in [0, 1].
        end: the share of a run from which on it does nothing.
        unseeing: the prompts whose rows see an empty picture.
    """

    in_place = False

    def __init__(
        self,
        projections: dict[str, Projections],
        tokens: tuple[Tensor, Tensor],
        strength: float,
        begin: float,
        end: float,
        unseeing: Collection[str] = ("",),
    ) -> None:
        self._projections, self._tokens, self._strength = projections, tokens, strength
        self._begin, self._end = begin - _HALF_A_TIME, end - _HALF_A_TIME
        self._unseeing = frozenset(unseeing)
        self._known: dict[str, tuple[Tensor, Tensor]] = {}

    @property
    def networks(self) -> list[nn.Module]:
        """See `Guide`."""
        return [module for both in self._projections.values() for module in both]

    def mark(self, prompt: str, condition: Condition) -> Condition:
        """See `Guide`."""
        sees = torch.full((1, 1), float(prompt not in self._unseeing), device=condition.states.device)
        return replace(condition, parts={**condition.parts, SEES: sees})

    @contextmanager
    def during(
        self, model: LatentModel, begun: float, condition: Condition, attend: Attend | None
    ) -> Generator[Attend | None]:
        """See `Guide`."""
        if not self._begin <= begun < self._end:
            yield attend
            return
        sees = condition.parts.get(SEES)
        sees = torch.ones(len(condition), 1, device=condition.states.device) if sees is None else sees
        network = model.networks[model.denoiser]
        if hasattr(network, "single_transformer_blocks"):
            with ExitStack() as stack:
                for name in self._projections:
                    stack.enter_context(self._behind(network.get_submodule(name), name, sees))
                yield attend
            return
        yield partial(self._attended, _plain if attend is None else attend, sees)

    def _attended(
        self, attend: Attend, sees: Tensor, place: Place, q: Tensor, k: Tensor, v: Tensor
    ) -> Tensor:
        """The values attended to, with those of the picture."""
        Z = attend(place, q, k, v)
        return Z + self._summand(place.name, q, sees) if place.name in self._projections else Z

    def _summand(self, name: str, q: Tensor, sees: Tensor) -> Tensor:
        """lambda Attention(Q, K', V'), [B, heads, L, d], for queries q of this shape."""
        if len(q) != len(sees):  # further rows of a method's own
            sees = sees.repeat_interleave(-(-len(q) // len(sees)), 0)[: len(q)]
        K, V = (
            torch.where(sees[:, :, None] > 0.5, both[:1], both[1:]).unflatten(-1, (q.shape[1], -1))
            for both in self._keys(name, q.dtype)
        )
        return self._strength * F.scaled_dot_product_attention(q, K.transpose(1, 2), V.transpose(1, 2))

    def _keys(self, name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """K' and V' of the picture and of an empty one, each [2, L, heads d]; computed once."""
        if name not in self._known or self._known[name][0].dtype != dtype:
            both = torch.cat(self._tokens)
            with torch.inference_mode(False), torch.no_grad():
                K, V = (
                    layer(both.clone().to(layer.weight.dtype)).to(dtype) for layer in self._projections[name]
                )
            self._known[name] = K, V
        return self._known[name]

    @contextmanager
    def _behind(self, block: Any, name: str, sees: Tensor) -> Generator[None]:
        """A context in which a block of FLUX.1 with two streams adds the summand to the picture's stream."""
        attention, queries = block.attn, list[Tensor]()

        def read(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            states = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
            q = attention.norm_q(attention.to_q(states).unflatten(-1, (attention.heads, -1)))
            queries[:] = [q.transpose(1, 2)]

        def add(_: nn.Module, args: Any, result: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            text, states = result
            added = self._summand(name, queries.pop(), sees).transpose(1, 2).flatten(2)
            return text, states + added.to(states.dtype)

        handles = [
            attention.register_forward_pre_hook(read, with_kwargs=True),
            block.register_forward_hook(add),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _plain(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention as a network without a guide computes it."""
    return F.scaled_dot_product_attention(q, k, v)
