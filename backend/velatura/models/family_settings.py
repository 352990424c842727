"""Published settings of methods for families of models, as `recognition.Family.settings` has them."""

from __future__ import annotations

from collections.abc import Mapping

_BETWEEN_CAPTIONS = ("flow-align", "flow-mask", "flow-slider")


def _each(parameter: str, value: float) -> dict[str, float]:
    return {f"{method}.{parameter}": value for method in _BETWEEN_CAPTIONS}


FEW: Mapping[str, float] = {
    "guidance": 1.0,
    "steps": 4,
    **_each("steps", 8),  # FlowEdit's difference of velocities needs more steps than the model's own pictures
    "kv-edit.steps": 8,
    "lanpaint.steps": 8,
    "clip-guided-diffusion.steps": 50,  # the gradients of CLIP need as many as with any other model
}
"""Of models that are distilled to a few steps."""

OF_JOINT: Mapping[str, float] = {
    "cross_until": 0.0,
    "flow-align.self_until": 0.0,
    "flow-mask.self_until": 0.0,
}
"""Of joint attention. Words do not take other words' maps there; the picture's own queries and keys keep the
layout (Shin et al. 2025, arXiv:2508.07519). FlowAlign was published without any injection."""

SD3_FLOW: Mapping[str, float] = {
    **_each("start", 0.65),
    "flow-align.steps": 33,
    "flow-slider.steps": 33,
    "flow-align.strength": 13.5,
    "flow-mask.strength": 13.5,
}
"""The last 33 of 50 steps, w = 13.5 and zeta = .01 a step (FlowAlign, Kim et al. 2025, arXiv:2505.23145)."""

FLUX1_FLOW: Mapping[str, float] = {
    **_each("start", 0.85),
    "flow-align.steps": 24,
    "flow-slider.steps": 24,
    "kv-edit.strength": 0.85,
    "kv-edit.guidance": 5.5,
}
"""The last 24 of 28 steps (FlowEdit, Kulikov et al. 2025, arXiv:2412.08629; FlowSlider, arXiv:2604.02088;
KV-Edit, Zhu et al. 2025, arXiv:2502.17363)."""
