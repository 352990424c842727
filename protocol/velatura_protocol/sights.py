"""The part of a picture that a model is shown: its name in recipes and scripts, its title in every host."""

from __future__ import annotations

LAYER, BELOW, VISIBLE = "layer", "below", "visible"

TITLES = {
    LAYER: "This layer",
    BELOW: "This layer and what is below",
    VISIBLE: "The visible picture",
}
