"""The person's choice of the picture that the model sees and works from."""

from __future__ import annotations

LAYER, BELOW, VISIBLE = "layer", "below", "visible"
TITLE = "Works from"
TIP = "The picture that the model sees: the layer alone, or with what shows with it"
#: Value and title, the default first.
CHOICES = (
    (LAYER, "The layer"),
    (BELOW, "The layer and what is below"),
    (VISIBLE, "The visible picture"),
)


def known(value: object) -> str:
    """The value if it is one of `CHOICES`, else the default."""
    return next((choice for choice, _ in CHOICES if choice == value), LAYER)
