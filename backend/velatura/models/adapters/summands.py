"""The changes that adapters make to a layer, as functions from its input to a summand of its output.

No weight of the network changes, so a run leaves no trace, and weights in 8 bits or on another device serve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from velatura.diffusion.network import OfOutput


@dataclass(frozen=True, eq=False)
class LowRank:
    """B A x (Hu et al. 2022, arXiv:2106.09685, section 4.1).

    Args:
        A: [r, inputs], or [r, inputs, k, k] of a convolution.
        B: [outputs, r], with the scale alpha / r in it.
    """

    A: Tensor
    B: Tensor


@dataclass(frozen=True, eq=False)
class Kronecker:
    """(C ⊗ D) x (LoKr; Yeh et al. 2024, arXiv:2309.14859, section 3.2).

    Args:
        C: [a, b], with the scale in it.
        D: [c, d]; the layer has a c outputs and b d inputs.
    """

    C: Tensor
    D: Tensor


@dataclass(frozen=True, eq=False)
class Dense:
    """W x + b.

    Args:
        W: [outputs, inputs], or [outputs, inputs, k, k] of a convolution; None for 0.
        b: [outputs]; None for 0.
    """

    W: Tensor | None = None
    b: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Scaled:
    """Outputs of a layer scaled, with a change before: s ((g - 1) ⊙ (y - b) + g ⊙ change(x)), y = W x + b.

    DoRA with magnitudes of outputs is this with g = m / ||W + change|| (Liu et al. 2024, arXiv:2402.09353,
    eq. 5); (IA)³ of outputs is this without a change (Liu et al. 2022, arXiv:2205.05638, section 3.3).

    Args:
        g: [outputs].
        change: at a strength of 1; None for none.
        with_bias: whether g scales the layer's bias b too, which then is not subtracted.
        strength: s.
    """

    g: Tensor
    change: LowRank | Kronecker | Dense | None = None
    with_bias: bool = False
    strength: float = 1.0


Plain = LowRank | Kronecker | Dense
"""A change that is a function of a layer's input alone."""

Change = Plain | Scaled
"""A change of one layer, at a strength of 1."""


def outputs(change: Change) -> int:
    """The number of outputs of a change's layer."""
    if isinstance(change, Scaled):
        return len(change.g)
    if isinstance(change, LowRank):
        return len(change.B)
    if isinstance(change, Kronecker):
        return len(change.C) * len(change.D)
    return len(change.W) if change.W is not None else 0 if change.b is None else len(change.b)


def rows(change: Change, index: Sequence[int]) -> Change:
    """The change of some of a layer's outputs, or of all in another order."""
    if isinstance(change, Scaled):
        inner = None if change.change is None else _rows(change.change, [*index])
        return replace(change, g=change.g[[*index]], change=inner)
    return _rows(change, [*index])


def _rows(change: Plain, index: list[int]) -> Plain:
    if isinstance(change, LowRank):
        return LowRank(change.A, change.B[index])
    if isinstance(change, Kronecker):
        return Dense(torch.kron(change.C, change.D)[index])
    W, b = change.W, change.b
    return Dense(None if W is None else W[index], None if b is None else b[index])


def strengthened(change: Change, strength: float) -> Change:
    """The change at another strength, which may be negative."""
    if isinstance(change, Scaled):
        return replace(change, strength=strength * change.strength)
    if isinstance(change, LowRank):
        return replace(change, B=strength * change.B)
    if isinstance(change, Kronecker):
        return replace(change, C=strength * change.C)
    W, b = change.W, change.b
    return Dense(None if W is None else strength * W, None if b is None else strength * b)


def fits(change: Change, layer: nn.Module) -> bool:
    """Whether a change is one of this layer."""
    if isinstance(layer, nn.Linear):
        outputs, inputs = layer.out_features, layer.in_features
        kernel: tuple[int, ...] = ()
    elif isinstance(layer, nn.Conv2d) and layer.groups == 1:
        outputs, inputs = layer.out_channels, layer.in_channels
        kernel = tuple(layer.kernel_size)
    else:
        return False
    if isinstance(change, Scaled):
        inner = change.change is None or fits(change.change, layer)
        return inner and change.g.shape == (outputs,)
    if isinstance(change, LowRank):
        rank = change.A.shape[0]
        return _is(change.A.shape, rank, inputs, kernel) and change.B.shape == (outputs, rank)
    if isinstance(change, Kronecker):
        if change.C.ndim != 2 or change.D.ndim != 2:
            return False
        size = (change.C.shape[0] * change.D.shape[0], change.C.shape[1] * change.D.shape[1])
        return size == (outputs, inputs) and kernel in ((), (1, 1))
    is_fit = change.W is None or _is(change.W.shape, outputs, inputs, kernel)
    return is_fit and (change.b is None or change.b.shape == (outputs,))


def _is(shape: Sequence[int], outputs: int, inputs: int, kernel: tuple[int, ...]) -> bool:
    """Whether a weight has these sizes; a kernel of one pixel may be left out."""
    plain = (outputs, inputs)
    return tuple(shape) == (*plain, *kernel) or (tuple(shape) == plain and set(kernel) <= {1})


def matrix(change: Plain, shape: Sequence[int]) -> Tensor:
    """The change of the weight, in the weight's shape [outputs, inputs] or [outputs, inputs, k, k]."""
    if isinstance(change, LowRank):
        return (change.B @ change.A.flatten(1)).reshape(*shape)
    if isinstance(change, Kronecker):
        return torch.kron(change.C, change.D).reshape(*shape)
    return torch.zeros(*shape) if change.W is None else change.W.reshape(*shape)


def decomposed(W: Tensor, change: Plain, m: Tensor, *, of_inputs: bool) -> Change:
    """DoRA: the weight m (W + change) / ||W + change||, whose norms are of rows, or of columns.

    The change of columns scales the layer's inputs, for which there is no form smaller than W.

    Args:
        W: the layer's weight, float32, in the shape that its layer has.
        change: at a strength of 1.
        m: the magnitudes, as many as outputs or inputs.
        of_inputs: whether they are of inputs.
    """
    changed = W + matrix(change, W.shape)
    if not of_inputs:
        return Scaled(m.flatten() / changed.flatten(1).norm(dim=1), change)
    norms = changed.transpose(0, 1).flatten(1).norm(dim=1)
    g = (m.flatten() / norms).reshape(1, -1, *[1] * (W.ndim - 2))
    return Dense(g * changed - W)


def summand(
    layer: nn.Module, changes: Sequence[Change], device: Any
) -> Callable[[Tensor], Tensor] | OfOutput:
    """The sum of the changes of a layer, as a function of its input. They have to fit it.

    All changes of low rank become one, whose rank is the sum of theirs.
    """
    plain = [change for change in changes if not isinstance(change, Scaled)]
    scaled = [_scaling(layer, change, device) for change in changes if isinstance(change, Scaled)]
    added = _plain(layer, plain, device) if plain else None
    if not scaled:
        assert added is not None
        return added

    def of(x: Tensor, y: Tensor) -> Tensor:
        total = scaled[0](x, y)
        for one in scaled[1:]:
            total = total + one(x, y)
        return total if added is None else total + added(x)

    return OfOutput(of)


def _scaling(layer: nn.Module, change: Scaled, device: Any) -> Callable[[Tensor, Tensor], Tensor]:
    shape = (-1, 1, 1) if isinstance(layer, nn.Conv2d) else (-1,)
    g, s = change.g.to(device).reshape(shape), change.strength
    inner = None if change.change is None else _plain(layer, [change.change], device)

    def of(x: Tensor, y: Tensor) -> Tensor:
        bias = None if change.with_bias else layer.bias
        own = y - bias.to(y).reshape(shape) if isinstance(bias, Tensor) else y
        total = (s * (g - 1.0)).to(y) * own
        return total if inner is None else total + (s * g).to(y) * inner(x)

    return of


def _plain(layer: nn.Module, changes: Sequence[Plain], device: Any) -> Callable[[Tensor], Tensor]:
    dtype = layer.weight.dtype if isinstance(layer.weight, Tensor) else torch.float32
    dtype = dtype if dtype in (torch.float16, torch.bfloat16, torch.float32) else torch.bfloat16
    apply = _convolved(layer) if isinstance(layer, nn.Conv2d) else F.linear
    made: list[Callable[[Tensor], Tensor]] = []

    def there(x: Tensor) -> Tensor:
        return x.to(device, dtype)

    low = [change for change in changes if isinstance(change, LowRank)]
    if low:
        kernel = max((one.A.shape[2:] for one in low), key=len)
        A = there(torch.cat([one.A.reshape(*one.A.shape[:2], *kernel) for one in low]))
        B = there(torch.cat([one.B for one in low], dim=1))
        made.append(lambda x: _second(apply(x, A.to(x.dtype)), B.to(x.dtype), layer))
    made += [_kronecker(there(one.C), there(one.D), layer) for one in changes if isinstance(one, Kronecker)]
    dense = [change for change in changes if isinstance(change, Dense)]
    weights = [one.W for one in dense if one.W is not None]
    biases = [one.b for one in dense if one.b is not None]
    if weights:
        kernel = max((W.shape[2:] for W in weights), key=len)
        W = there(torch.stack([W.reshape(*W.shape[:2], *kernel) for W in weights]).sum(0))
        made.append(lambda x: apply(x, W.to(x.dtype)))
    if biases:
        shape = (-1, 1, 1) if isinstance(layer, nn.Conv2d) else (-1,)
        b = there(torch.stack(biases).sum(0)).reshape(shape)
        made.append(lambda x: b.to(x.dtype))

    def added(x: Tensor) -> Tensor:
        total = made[0](x)
        for one in made[1:]:
            total = total + one(x)
        return total

    return added


def _convolved(layer: nn.Conv2d) -> Callable[[Tensor, Tensor], Tensor]:
    """The layer's convolution with another kernel; that of a change without one is 1 x 1."""

    def convolved(x: Tensor, W: Tensor) -> Tensor:
        kernel = W if W.ndim == 4 else W[..., None, None]
        return F.conv2d(x, kernel, None, layer.stride, layer.padding, layer.dilation)

    return convolved


def _second(x: Tensor, B: Tensor, layer: nn.Module) -> Tensor:
    return F.conv2d(x, B[..., None, None]) if isinstance(layer, nn.Conv2d) else F.linear(x, B)


def _kronecker(C: Tensor, D: Tensor, layer: nn.Module) -> Callable[[Tensor], Tensor]:
    if isinstance(layer, nn.Conv2d):
        W = torch.kron(C, D)
        apply = _convolved(layer)
        return lambda x: apply(x, W.to(x.dtype))

    def product(x: Tensor) -> Tensor:
        """(C ⊗ D) vec(X) = vec(C X D^T), X being [b, d] in rows."""
        X = F.linear(x.unflatten(-1, (C.shape[1], D.shape[1])), D.to(x.dtype))
        return (C.to(x.dtype) @ X).flatten(-2)

    return product
