"""The change that an adapter's tensors make to a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor
from torch import Tensor, nn

from .summands import Change, Dense, Kronecker, LowRank, Plain, Scaled, decomposed


def change_of(
    tensors: Mapping[str, Tensor],
    noted: Callable[[str], float | None],
    layers: Sequence[nn.Module],
    name: str,
    *,
    is_swapped: bool = False,
) -> Change | None:
    """The change that tensors make to a layer; None where some are missing or do not fit each other.

    Args:
        tensors: by their kinds.
        noted: gives the alpha of a layer where the file notes it elsewhere.
        layers: the layer, or those that a fused one has been split into.
        name: of the first of them.
        is_swapped: whether the tensors have the halves of the layer's outputs in the other order.
    """

    def weight() -> Tensor:
        W = _weight(layers)
        return torch.cat(W.chunk(2)[::-1]) if is_swapped else W

    try:
        if "ia3_l" in tensors or "on_input" in tensors:
            return _scaled(tensors, weight)
        change = _added(tensors, noted, layers[0], name)
        if change is None or not tensors.keys() & {"magnitude", "dora_scale"}:
            return change
        W = weight()
        m = tensors.get("magnitude", tensors.get("dora_scale", W))
        return decomposed(W, change, m, of_inputs="dora_scale" in tensors and m.shape[0] == 1)
    except (KeyError, IndexError, RuntimeError, TypeError, ValueError, ZeroDivisionError):
        return None


def _weight(layers: Sequence[nn.Module]) -> Tensor:
    """The weight of a layer, or of several that are one's parts, float32 on the CPU."""
    parts: list[Tensor] = []
    for layer in layers:
        weight: Any = layer.weight
        whole = dequantize_gguf_tensor(weight) if isinstance(weight, GGUFParameter) else weight
        parts.append(whole.detach().to("cpu", torch.float32))
    return torch.cat(parts)


def _scaled(tensors: Mapping[str, Tensor], weight: Callable[[], Tensor]) -> Change:
    """(IA)³ (Liu et al. 2022, arXiv:2205.05638): a layer's outputs or inputs times l.

    peft stores l as a column for outputs, with the bias, and as a row for inputs; LyCORIS stores l - 1."""
    if "ia3_l" in tensors:
        scales, of_inputs, with_bias = tensors["ia3_l"], tensors["ia3_l"].shape[0] == 1, True
    else:
        scales, of_inputs, with_bias = 1.0 + tensors["weight"], bool(tensors["on_input"].item()), False
    if not of_inputs:
        return Scaled(scales.flatten(), with_bias=with_bias)
    W = weight()
    return Dense((scales.flatten() - 1.0).reshape(1, -1, *[1] * (W.ndim - 2)) * W)


def _added(
    tensors: Mapping[str, Tensor], noted: Callable[[str], float | None], layer: nn.Module, name: str
) -> Plain | None:
    """The change that is added to a weight, without its magnitudes; see `change_of`."""
    kernel = tuple(layer.kernel_size) if isinstance(layer, nn.Conv2d) else ()

    def shaped(weight: Tensor) -> Tensor:
        """[outputs, inputs …] for the kernel of the layer."""
        inputs = layer.in_channels if isinstance(layer, nn.Conv2d) else weight[0].numel()
        return weight.reshape(weight.shape[0], inputs, *kernel)

    def scale(rank: int) -> float:
        alpha = tensors["alpha"].item() if "alpha" in tensors else noted(name)
        return 1.0 if alpha is None else alpha / rank

    if "A" in tensors:
        down, up = tensors["A"], scale(len(tensors["A"])) * tensors["B"].flatten(1)
        if "mid" in tensors:
            return Dense(shaped(torch.einsum("ijkl,jr,pi->prkl", tensors["mid"], down.flatten(1), up)))
        return LowRank(shaped(down), up)
    if "hada_w1_b" in tensors:
        rank = tensors["hada_w1_b"].shape[0]
        return Dense(shaped(scale(rank) * _hadamard(tensors)))
    if "lokr_w1" in tensors or "lokr_w1_a" in tensors:
        first, second, rank = _kronecker(tensors)
        first = first * (scale(rank) if rank else 1.0)
        if second.ndim == 2 and not kernel:
            return Kronecker(first, second)
        second = second if second.ndim > 2 else second.reshape(len(second), -1, *kernel)
        return Dense(shaped(torch.kron(first.reshape(*first.shape, *[1] * (second.ndim - 2)), second)))
    W, b = tensors.get("diff"), tensors.get("diff_b")
    return Dense(None if W is None else shaped(W), b) if W is not None or b is not None else None


def _hadamard(t: Mapping[str, Tensor]) -> Tensor:
    """(w1_a w1_b) * (w2_a w2_b) (LoHa; Hyeon-Woo et al. 2022, FedPara, arXiv:2108.06098, eq. 3)."""
    first = _product(t["hada_w1_a"], t["hada_w1_b"], t.get("hada_t1"))
    return first * _product(t["hada_w2_a"], t["hada_w2_b"], t.get("hada_t2"))


def _kronecker(t: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, int]:
    """The two factors of LoKr, and the rank by which alpha is divided; 0 where both are whole."""
    rank, first, second = 0, t.get("lokr_w1"), t.get("lokr_w2")
    if first is None:
        first, rank = t["lokr_w1_a"] @ t["lokr_w1_b"], t["lokr_w1_b"].shape[0]
    if second is None:
        second = _product(t["lokr_w2_a"], t["lokr_w2_b"], t.get("lokr_t2"))
        rank = t["lokr_w2_b"].shape[0]
    return first, second, rank


def _product(a: Tensor, b: Tensor, core: Tensor | None) -> Tensor:
    """a b, or Tucker's decomposition of a convolution with a core [r, r, k, k] between them."""
    return a @ b if core is None else torch.einsum("ijkl,jr,ip->prkl", core, b, a)
