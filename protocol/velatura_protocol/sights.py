"""The part of a picture that a model is shown: its name in recipes and scripts, its title in every host."""

from __future__ import annotations

LAYER, BELOW, VISIBLE = "layer", "below", "visible"
TITLE = "Works from"
TIP = "The picture that the model sees: the layer alone, or with what shows with it"
TITLES = {
    LAYER: "The layer",
    BELOW: "The layer and what is below",
    VISIBLE: "The visible picture",
}
"""Titles by name, the default first."""


def known(value: object) -> str:
    """The value if it is one of `TITLES`, else the default."""
    return next((name for name in TITLES if name == value), LAYER)
