"""What the methods that edit by a flow share: their fields, and a run from the layer to the pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import fields
from .base import Context, MethodInputs

if TYPE_CHECKING:

    from torch import Tensor

    from velatura.flow.edit import Pulls, Step
    from velatura.flow.texts import Texts

WANTED = 5.0
"""Strength of a whole caption that stands beside dials: FlowAlign's w."""
FARTHEST = 4.0
"""Strength of a dial at 100 % that is not even."""
PROBE_STEPS, PROBE_SEED = 8, 0


def only_changes() -> Any:
    """Whether what changes too little to be seen keeps the layer's own pixels."""
    return Field(
        True,
        title="Leave the rest alone",
        description="Keeps the layer's own pixels wherever the edit changes nothing that one sees.",
    )


def start(default: float) -> Any:
    """The noise level to start from, as a fraction of the model's training times."""
    return fields.slider(
        default,
        0.1,
        1.0,
        0.05,
        "Freedom",
        "How far shapes may move: low keeps them and changes colours and surfaces, high gives them free.",
        advanced=True,
    )


def held_to() -> Any:
    """c_neg of FlowSlider."""
    return Field(
        "",
        max_length=2000,
        title="Held to",
        description="What the layer is held to while dials move it; empty: its caption.",
        json_schema_extra=fields.ADVANCED | {"x-multiline": True},
    )


def zeta(default: float) -> Any:
    """The pull of the predicted picture to the source."""
    return fields.slider(
        default, 0.0, 0.2, 0.005, "Hold", "How firmly the layer is held on to in each step.", advanced=True
    )


def noises() -> Any:
    """Draws a step whose pulls are averaged."""
    return fields.whole(
        1,
        1,
        8,
        "Care",
        "How often each step looks before it moves; more is slower and cleaner.",
        advanced=True,
    )


def steps(default: int) -> Any:
    """Steps of the run itself, wherever it starts."""
    return fields.whole(default, 4, 100, "Steps", "How finely the way is divided.", advanced=True)


def caption(text: str) -> str:
    """The layer's caption. Raises `empty-prompt` where there is none."""
    if not text.strip():
        raise VelaturaError("empty-prompt", "Describe what the layer shows now, so that the rest can stay.")
    return text.strip()


def texts(caption: str, dial: fields.DialSettings) -> Texts:
    """The two captions that a dial leads between. Raises `bad-request` for a dial without words."""
    from velatura.flow.texts import of_dial

    return of_dial(caption, dial.less, dial.more)


def edited(inputs: MethodInputs, params: Any, context: Context, caption: str, pulls: Pulls) -> Tensor:
    """The pictures [N, 3, h, w] in [-1, 1] that the pulls make of the layer, one a seed."""
    from velatura.flow import edit

    return _run(
        inputs, params, context, caption, lambda *given: edit.edit(context.model, given[0], pulls, *given[1:])
    )


def plainly_edited(inputs: MethodInputs, params: Any, context: Context, caption: str) -> Tensor:
    """As `edited`, by FlowEdit: no guidance at the layer, `strength` at the edit."""
    from velatura.flow import edit

    guidances = (1.0, max(params.strength, 1.0))
    return _run(
        inputs,
        params,
        context,
        caption,
        lambda source, after_step, m: edit.plain(
            context.model, source, inputs.prompt, guidances, after_step, m=m
        ),
    )


def _run(inputs: MethodInputs, params: Any, context: Context, caption: str, make: Any) -> Tensor:
    from velatura.diffusion import blending, schedule
    from velatura.flow import change
    from velatura.flow.source import kept

    model = context.model
    # as many steps from any start: `sigmas` takes those of a whole run
    sigmas = schedule.sigmas(model.training_sigmas, round(params.steps / params.start), params.start)
    z0 = model.encode(inputs.image)
    m = blending.latent_mask(inputs.mask, z0.shape[-2:])

    def after_step(step: Step) -> None:
        context.step(step.i + 1, step.n, lambda: model.decode(blending.blend(step.expected[:1], z0, m)))

    with kept(context.memory, model, z0, caption, sigmas, inputs.seeds, params.noises) as source:
        z = make(source, after_step, m)
    pictures = context.decode(z)
    if params.only_changes:
        return change.kept(pictures, context.reconstruction, max(1, model.factor // 4))
    return pictures
