"""Numbers as a person reads and moves them."""

from __future__ import annotations

from .schema import Field

SLIDER_STEPS = 200  #: positions of a slider whose field names no step


def amount(value: float) -> str:
    """A number as it is read, with two digits after the point at most: 1, 1.5, −0.25, 60."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def step_of(field: Field) -> float:
    """How far one position of a number's slider is from the next."""
    if field.step:
        return field.step
    if field.kind == "integer":
        return 1
    return ((field.maximum or 0.0) - (field.minimum or 0.0)) / SLIDER_STEPS or 1.0


def decimals(step: float) -> int:
    """How many digits after the point show the multiples of `step`: of 5 none, of 0.05 two.

    Two or four where the step is no round number.
    """
    for places in range(5):
        if abs(round(step, places) - step) < 1e-9:
            return places
    return 2 if step > 0.005 else 4
