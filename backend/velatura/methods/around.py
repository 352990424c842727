"""The group "Close to" of every method whose results differ by seed: more like a result. Imports no torch.

SPEC section 6, `x-around`. Clients do not show it in a form; they offer *more like this*.
"""

from __future__ import annotations

from pydantic import Field

from .parameters import Parameters, with_group

KEY = "around"
"""The group's key in the parameters of a method."""

MOST = 32
"""Steps from one result to the next like it."""


class Step(Parameters):
    """An entry of `KEY`. distance: the share of the way from this seed to the next, or to the variation's."""

    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Of a result.")
    distance: float = Field(0.25, ge=0.0, le=1.0, title="Distance", description="How far to go from it.")


def with_around(parameters: type[Parameters]) -> type[Parameters]:
    """The class of parameters with the group. Raises TypeError if it has another field of that key."""
    group = Field(
        [],
        max_length=MOST,
        title="Close to",
        description="The results that the variations are like.",
        json_schema_extra={"x-order": 98, "x-advanced": True, "x-around": True},
    )
    return with_group(parameters, KEY, Step, group)


def steps_of(params: Parameters) -> list[tuple[int, float]]:
    """The seeds and distances that parameters name, the first result first."""
    return [(step.seed, step.distance) for step in getattr(params, KEY, [])]
