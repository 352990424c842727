"""A UNet's attention, made replaceable once when it is loaded, through Q, K and V alone.

hold(unet)
unet(x, t, c)                                                       # plain
unet(x, t, c, cross_attention_kwargs={"attend": attend})            # `attend` replaces attention in this call
"""

from __future__ import annotations

import torch.nn.functional as F
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from velatura.attention.places import Attend, Place

from .backends import computed


def hold(unet: UNet2DConditionModel) -> None:
    """Makes calls of `unet` accept `attend` among their `cross_attention_kwargs`, for every attention of a
    transformer block. The results of calls without `attend` do not change."""
    for name, module in unet.named_modules():
        if isinstance(module, Attention) and name.endswith((".attn1", ".attn2")):
            held = _Held(name, level_of(unet, name))
            module.set_processor(held)  # pyright: ignore[reportArgumentType] - diffusers lists only its own


def attention_levels(unet: UNet2DConditionModel) -> tuple[int, ...]:
    """The levels that have cross-attention: 0 sees the latent as it is, 1 halved once, and so on."""
    names = (name for name, _ in unet.named_modules() if name.endswith(".attn2"))
    return tuple(sorted({level_of(unet, name) for name in names}))


def level_of(unet: UNet2DConditionModel, name: str) -> int:
    """How often the latent has been halved where the module of this name is."""
    blocks, number, *_ = name.split(".")
    last = len(unet.config["block_out_channels"]) - 1
    if blocks == "down_blocks":
        return int(number)
    return last - int(number) if blocks == "up_blocks" else last


class _Held:
    """diffusers' attention processor for one place.

    It computes what `AttnProcessor2_0` computes for the attentions of a transformer block, which add no
    residual of their own.
    """

    _attention_backend: AttentionBackendName | None = None  # diffusers sets it

    def __init__(self, name: str, level: int) -> None:
        self.self_, self.cross = Place(name, "self", level), Place(name, "cross", level)

    def _values(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        if self._attention_backend in (None, AttentionBackendName.NATIVE):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # the dispatcher has the heads after the rows
        values = dispatch_attention_fn(q, k, v, attn_mask=mask, backend=self._attention_backend)
        return values.transpose(1, 2)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        attend: Attend | None = None,
    ) -> Tensor:
        if attn.to_k is None or attn.to_v is None or attn.to_out is None:  # none in a transformer block
            raise NotImplementedError(f"{self.self_.name}: attention without its own projections")
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
            mask = attention_mask
            if mask is not None:
                mask = attn.prepare_attention_mask(mask, k.shape[-2], len(q))
                mask = mask.view(len(q), attn.heads, -1, mask.shape[-1])
            values = computed(self, lambda: self._values(q, k, v, mask))
        elif attention_mask is not None:
            raise NotImplementedError(f"{self.self_.name}: attention with a mask cannot be replaced yet")
        else:
            values = attend(self.self_ if encoder_hidden_states is None else self.cross, q, k, v)
        out = attn.to_out[1](attn.to_out[0](values.transpose(1, 2).flatten(2)))
        return out if attn.rescale_output_factor == 1.0 else out / attn.rescale_output_factor
