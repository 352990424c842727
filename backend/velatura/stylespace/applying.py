"""Applies dials to a code: kept directions, vectors and mappers, many at once."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from velatura.generators.styles import StyleGenerator
from velatura.shelf.dial import Dial
from velatura_protocol.errors import VelaturaError


def applied(model: StyleGenerator, ws: Tensor, dials: Sequence[tuple[Dial, float]]) -> list[Tensor]:
    """S [N, C_l] of W+ codes with dials applied; 1 is the amount at which a dial was found.

    First vectors and mappers move W+, each from the given codes, then directions move S. So the order of the
    dials does not matter, except in the last bits.

    Args:
        model: the generator.
        ws: [N, num_ws, w_dim].
        dials: each with its amount; below 0 it leads the other way.

    Raises:
        VelaturaError: `unknown-model` for a dial of another generator's shape.
    """
    moved = ws
    for dial, amount in dials:
        if amount and dial.kind != "direction":
            moved = moved + amount * offset(dial, ws)
    styles = model.styles(moved)
    for dial, amount in dials:
        if amount and dial.kind == "direction":
            styles = [s + amount * part for s, part in zip(styles, _direction(dial, styles), strict=True)]
    return styles


def offset(dial: Dial, ws: Tensor) -> Tensor:
    """The whole step of a vector or a mapper in W+, [1 or N, num_ws, w_dim], from codes of that shape.

    Raises `unknown-model` for a dial of another generator's shape.
    """
    if dial.kind == "vector":
        step = dial.tensors.get("ws")
        if step is None or step.shape != ws.shape[-2:]:
            raise _misfit(dial)
        return step.to(ws)[None]
    from .mapper import mapper_of

    try:
        return mapper_of(dial.tensors)(ws)
    except (KeyError, RuntimeError, ValueError) as error:
        raise _misfit(dial) from error


def _direction(dial: Dial, styles: Sequence[Tensor]) -> list[Tensor | float]:
    """A dial's step in each place of S; 0.0 for the places that it leaves alone."""
    steps: list[Tensor | float] = []
    for place, s in enumerate(styles):
        step = dial.tensors.get(f"s{place}")
        if step is not None and step.shape != s.shape[-1:]:
            raise _misfit(dial)
        steps.append(0.0 if step is None else step.to(s))
    if set(dial.tensors) - {f"s{place}" for place in range(len(styles))}:
        raise _misfit(dial)
    return steps


def _misfit(dial: Dial) -> VelaturaError:
    return VelaturaError(
        "unknown-model",
        f"The slider {dial.title!r} was made for another model; choose that one, or leave it out.",
    )
