"""Numbers as a person reads and moves them."""

from __future__ import annotations

from .schema import Field

SLIDER_STEPS = 200  #: positions of a slider whose field names no step


def amount(value: float) -> str:
    """A number for the person, with at most two decimals: 1, 1.5, −0.25, 60."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def step_of(field: Field) -> float:
    """The distance between two positions of a number's slider."""
    if field.step:
        return field.step
    if field.kind == "integer":
        return 1
    step = ((field.maximum or 0.0) - (field.minimum or 0.0)) / SLIDER_STEPS or 1.0
    return float(f"{step:.2g}")  # 5000 for 1 to 1e6, and not 4999.995, which would be shown with its decimals


def decimals(step: float) -> int:
    """The number of decimals that show all multiples of `step`: 0 for 5, 2 for 0.05.

    2 or 4 where the step has more than four decimals.
    """
    for places in range(5):
        if abs(round(step, places) - step) < 1e-9:
            return places
    return 2 if step > 0.005 else 4
