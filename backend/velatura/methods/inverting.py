"""The start level of edit-friendly inversion, which several methods offer beside direct inversion.

Huberman-Spiegelglas et al. 2024, An Edit Friendly DDPM Noise Space, section 4: the edit skips the highest
noise levels (36 of 100 steps as published), so that the layer's shapes are there from the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from . import fields

if TYPE_CHECKING:
    from velatura.diffusion.network import LatentDiffusion


class Inverted(Protocol):
    """The settings that the levels of a run depend on, part of a method's parameters."""

    @property
    def start(self) -> str:
        """'layer', or 'new' for a picture that the seed makes."""
        ...

    @property
    def inversion(self) -> str:
        """The way in which a layer is read."""
        ...

    noise_start: float


def noise_start() -> Any:
    """The level that edit-friendly noise begins at, as a fraction of the model's training times."""
    return fields.slider(
        1.0,
        0.2,
        1.0,
        0.05,
        "Edit-friendly noise, freedom",
        "For edit-friendly noise: how far shapes may move. Lower keeps more of the layer and is quicker; the "
        "authors use 0.65.",
        advanced=True,
    )


def sigmas(model: LatentDiffusion, steps: int, settings: Inverted) -> list[float]:
    """The levels of a run of an edit, decreasing, the last 0.

    Args:
        model: gives the trained levels.
        steps: of a whole run; a lower start takes the same share of them.
        settings: of the edit.
    """
    from velatura.diffusion import schedule

    skips = settings.start == "layer" and settings.inversion == "edit-friendly"
    return schedule.sigmas(model.training_sigmas, steps, settings.noise_start if skips else 1.0)
