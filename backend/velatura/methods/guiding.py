"""The guidance of a run, for models that are guided by two passes and for those that have it built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    from velatura.diffusion.network import LatentDiffusion


def guided(model: LatentDiffusion, scale: float, negative_prompt: str) -> tuple[LatentDiffusion, float]:
    """The model and the scale of classifier-free guidance for a run at this scale.

    A model that was distilled from a guided one takes the scale as an input: then that of classifier-free
    guidance is 1, which needs no second pass. Raises `bad-request` if such a model is told what to avoid.
    """
    if not model.embeds_guidance:
        return model, scale
    if negative_prompt.strip():
        raise VelaturaError(
            "bad-request",
            "This model has its guidance built in and cannot be told what to avoid; leave that field empty.",
        )
    return model.at_guidance(scale), 1.0


def reading(model: LatentDiffusion) -> LatentDiffusion:
    """The model as it reads a layer: without guidance, as inversions are."""
    return model.at_guidance(1.0) if model.embeds_guidance else model
