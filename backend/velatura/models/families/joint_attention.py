"""A transformer's attention, made replaceable once when it is loaded, through Q, K and V alone.

held = Held(transformer, level=1)
transformer(tokens, ...)                                    # plain
with held.by(attend, text=(0, 512), image=(512, 768)):
    transformer(tokens, ...)                                # `attend` replaces attention in this call

The processors stay diffusers' own. In a replaced call each still computes Q, K, V and the projection of the
result; only its call of torch's scaled_dot_product_attention goes to `attend` instead. So every family of
transformers is held by the same code, and calls without `attend` do not change by a bit.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_dispatch import AttentionBackendName
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor
from torch.overrides import TorchFunctionMode

from velatura.attention.places import Attend, Place
from velatura.models.backends import computed

Rows = tuple[int, int]
"""Rows [start, end) of q, k and v."""

_MASKED = -30_000.0  # added to the product q k of a masked key; float16 holds it, and its softmax is 0
_COLUMNS = 8  # that a mask adds to q and k: fast kernels want head sizes in multiples of this


@dataclass
class _Call:
    """The replacement in the call that is under way, if there is one."""

    attend: Attend | None = None
    text: Rows | None = None
    image: Rows | None = None


class Held:
    """The attentions of a transformer, each of which a call can replace.

    Args:
        transformer: of diffusers. Its processors are exchanged for subclasses of themselves.
        level: of its tokens, see `Place`; or gives that of each attention by its name.
        plain: parts of the names of attentions that are never replaced, such as those of text alone.
        own: parts of the names of attentions of the picture to itself (kind 'self'), whose rows are the
            image's alone. All others are joint.
    """

    def __init__(
        self,
        transformer: ModelMixin,
        level: int | Callable[[str], int],
        *,
        plain: Sequence[str] = (),
        own: Sequence[str] = (),
    ) -> None:
        self._transformer = transformer
        self._call = _Call()
        self.names: list[str] = []
        for name, module in transformer.named_modules():
            processor = getattr(module, "processor", None)
            if processor is None or any(part in name for part in plain):
                continue
            is_own = any(part in name for part in own)
            at = level if isinstance(level, int) else level(name)
            place = Place(name, "self" if is_own else "joint", at)
            module.set_processor(_replaceable(processor, place, self._call))
            self.names.append(name)

    @contextmanager
    def by(
        self, attend: Attend | None, text: Rows | None = None, image: Rows | None = None
    ) -> Generator[None, None, None]:
        """A context in which `attend` replaces the attentions.

        Args:
            attend: None: the context changes nothing. A mask of keys that do not count comes to it inside of
                q and k, as further columns: softmax(q k^T / sqrt(d)) is 0 there for the d that q then has.
            text, image: see `Place`. An attention of kind 'self' has the rows [0, image) and no text.
        """
        if attend is None:
            yield
            return
        call, network = self._call, self._transformer
        before = _Call(call.attend, call.text, call.image)
        # a backward pass that computes activations again would do so outside of this context
        again = torch.is_grad_enabled() and network.is_gradient_checkpointing
        if again:
            network.disable_gradient_checkpointing()
        call.attend, call.text, call.image = attend, text, image
        try:
            yield
        finally:
            call.attend, call.text, call.image = before.attend, before.text, before.image
            if again:
                network.enable_gradient_checkpointing()

    @contextmanager
    def plain(self) -> Generator[None, None, None]:
        """A context within that of `by` in which no attention is replaced."""
        attend, self._call.attend = self._call.attend, None
        try:
            yield
        finally:
            self._call.attend = attend


def _replaceable(processor: Any, place: Place, call: _Call) -> Any:
    """The processor as one of a subclass of its own class, which looks at `call`."""
    native = copy.copy(processor)  # as its class computes it, by torch's own function
    if hasattr(native, "_attention_backend"):
        native._attention_backend = AttentionBackendName.NATIVE
    held: Any = object.__new__(_subclass(type(processor)))
    held.__dict__.update(processor.__dict__)
    held.place, held.call, held.native = place, call, native
    return held


@functools.cache
def _subclass(cls: type[Any]) -> type[Any]:
    class Replaceable(cls):
        place: Place
        call: _Call
        native: Any

        @functools.wraps(cls.__call__)  # diffusers passes on the arguments that the signature names
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if self.call.attend is None:
                return computed(self, lambda: super(Replaceable, self).__call__(*args, **kwargs))
            with _Replaced(self.call.attend, _with_rows(self.place, self.call)):
                return self.native(*args, **kwargs)

    return Replaceable


def _with_rows(place: Place, call: _Call) -> Place:
    if place.kind == "joint":
        return place._replace(text=call.text, image=call.image)
    length = None if call.image is None else call.image[1] - call.image[0]
    return place if length is None else place._replace(image=(0, length))


class _Replaced(TorchFunctionMode):
    """A context in which scaled_dot_product_attention is `attend` at this place."""

    def __init__(self, attend: Attend, place: Place) -> None:
        super().__init__()
        self.attend, self.place = attend, place

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        return self._attended(*args, **kwargs)

    def _attended(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """The result of `attend` for the arguments of scaled_dot_product_attention."""
        if is_causal or dropout_p:
            raise NotImplementedError(f"{self.place.name}: causal attention cannot be replaced")
        if enable_gqa:
            groups = query.shape[1] // key.shape[1]
            key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
        if scale is not None:
            query = query * (scale * math.sqrt(query.shape[-1]))
        if attn_mask is not None:
            query, key = _masked(query, key, attn_mask)
        return self.attend(self.place, query, key, value).to(value.dtype)


def _masked(q: Tensor, k: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """q and k with further columns, by which a softmax of q k^T / sqrt(d) leaves the masked keys out.

    mask: as that of scaled_dot_product_attention, the same for all heads: [B or 1, 1, 1, L] or [B or 1, L],
        bool or added. Or bool [B or 1, 1, L, L], where tokens of padding neither see nor are seen; they see
        the others then, since nobody reads their result. Raises NotImplementedError for another.
    """
    mask = mask if mask.ndim == 4 else mask[:, None, None, :]
    if mask.dtype == torch.bool:
        mask = mask.any(dim=2, keepdim=True)
    if mask.shape[1] != 1 or mask.shape[2] != 1:
        raise NotImplementedError("a mask that differs between queries or heads cannot be replaced")
    added = torch.zeros_like(mask, dtype=q.dtype)
    added = added.masked_fill(~mask, _MASKED) if mask.dtype == torch.bool else mask.clamp_min(_MASKED).to(q)
    d = q.shape[-1]
    q = F.pad(q * math.sqrt((d + _COLUMNS) / d), (0, _COLUMNS))
    q[..., d] = 1.0
    added = added.transpose(-1, -2).expand(len(k), k.shape[1], k.shape[2], 1)
    return q, torch.cat([k, F.pad(added, (0, _COLUMNS - 1))], dim=-1)
