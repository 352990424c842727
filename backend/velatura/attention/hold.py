"""Attention that can be taken in hand for one call of the network, through Q, K and V alone.

    with held(unet):
        unet(x, t, c, cross_attention_kwargs={"attend": attend})

`attend` is asked at every attention instead of scaled_dot_product_attention; a call that gives none is plain.
It is an argument of the call and not a state of the network: nothing is counted, and nothing can be forgotten
between two calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from .places import Place

Attend = Callable[[Place, Tensor, Tensor, Tensor], Tensor]
"""attend(place, q, k, v) -> the values attended to. q: [B, heads, L_q, d]; k, v: [B, heads, L_k, d]; result
[B, heads, L_q, d]. Plain attention is `attend = lambda place, q, k, v: scaled_dot_product_attention(q, k,
v)`. """


@contextmanager
def held(unet: UNet2DConditionModel) -> Iterator[None]:
    """Within the block, calls of `unet` take `attend` among their `cross_attention_kwargs`.

    Every attention of a transformer block is held. What was installed before is put back, also after a fault.
    """
    attentions = {
        name: module
        for name, module in unet.named_modules()
        if isinstance(module, Attention) and name.endswith((".attn1", ".attn2"))
    }
    before = {name: module.processor for name, module in attentions.items()}
    try:
        for name, module in attentions.items():
            module.set_processor(_Held(name))
        yield
    finally:
        for name, module in attentions.items():
            module.set_processor(before[name])


class _Held:
    """diffusers' attention processor for one place.

    Does what `AttnProcessor2_0` does for the attentions of a transformer block, which neither mask nor add a
    residual of their own.
    """

    def __init__(self, name: str) -> None:
        self.self_, self.cross = Place(name, "self"), Place(name, "cross")

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        attend: Attend | None = None,
    ) -> Tensor:
        if attention_mask is not None:
            raise NotImplementedError(f"{self.self_.name}: attention with a mask is not held")
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            context = attn.norm_encoder_hidden_states(encoder_hidden_states)
        q, k, v = (
            layer(states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer, states in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        q = q if attn.norm_q is None else attn.norm_q(q)
        k = k if attn.norm_k is None else attn.norm_k(k)
        if attend is None:
            values = F.scaled_dot_product_attention(q, k, v)
        else:
            values = attend(self.self_ if encoder_hidden_states is None else self.cross, q, k, v)
        out = attn.to_out[1](attn.to_out[0](values.transpose(1, 2).flatten(2)))
        return out if attn.rescale_output_factor == 1.0 else out / attn.rescale_output_factor
