"""The common part of the methods that edit by a flow: fields, and a run from the layer to the pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import evening, fields, guiding
from .base import Context, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.flow.edit import Dial, Pulls, Step
    from velatura.flow.source import Source
    from velatura.flow.texts import Texts

WANTED = 5.0
"""Strength of a whole caption beside dials: FlowAlign's w."""
FARTHEST = 4.0
"""Strength at 100 % of a dial that is not even."""
HOLD_STEPS = 16
"""Steps of the run to which `zeta` refers: the hold over a whole run does not depend on its steps."""
DRAFT_STEPS = 8
"""Steps of a draft: it shows the effect of a dial, in lower quality."""


def only_changes(*, advanced: bool = False) -> Any:
    """Whether places with invisible changes keep the layer's own pixels. advanced: see `fields.slider`."""
    return Field(
        True,
        title="Leave the rest alone",
        description="Keeps the edit to where the words pull, and elsewhere the layer's own pixels.",
        json_schema_extra=fields.ADVANCED if advanced else None,
    )


def strength() -> Any:
    """w of FlowAlign."""
    return fields.slider(
        5.0,
        0.0,
        20.0,
        0.5,
        "How much",
        "How strongly the layer is drawn to the new caption; at 0 nothing changes.",
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


def self_until(default: float) -> Any:
    """The share of the steps in which self-attention's queries and keys are the layer's."""
    return fields.slider(
        default,
        0.0,
        1.0,
        0.05,
        "Shapes kept",
        "For which part of the steps the picture keeps its structure.",
        advanced=True,
    )


def held_to() -> Any:
    """c_neg of FlowSlider."""
    return Field(
        "",
        max_length=2000,
        title="Held to",
        description="What the layer is held to while dials move it; empty: its caption.",
        json_schema_extra={**fields.ADVANCED, "x-multiline": True, "x-prompt": True},
    )


def zeta(default: float) -> Any:
    """The pull of the predicted picture to the source."""
    return fields.slider(
        default, 0.0, 0.05, 0.005, "Hold", "How firmly the layer is held on to in each step.", advanced=True
    )


def noises() -> Any:
    """Draws of noise in each step; their pulls are averaged."""
    return fields.whole(
        1,
        1,
        8,
        "Care",
        "How often each step looks before it moves; more is slower and cleaner.",
        advanced=True,
    )


def steps(default: int) -> Any:
    """Steps of the run itself, from any start."""
    return fields.whole(default, 4, 100, "Steps", "How finely the way is divided.", advanced=True)


class CaptionParameters(Parameters):
    """Settings of an edit from the layer's caption to the prompt, with defaults for a whole edit."""

    source_prompt: str = fields.source_prompt(
        "A caption of the layer as it is now. The prompt is the same caption with other words."
    )
    strength: float = strength()
    only_changes: bool = only_changes()
    context: float = fields.context(1.0)
    start: float = start(0.9)
    zeta: float = zeta(0.02)
    self_until: float = self_until(0.8)
    noises: int = noises()
    steps: int = steps(16)


def caption(text: str) -> str:
    """The layer's caption. Raises `empty-prompt` if it is empty."""
    if not text.strip():
        raise VelaturaError("empty-prompt", "Describe what the layer shows now, so that the rest can stay.")
    return text.strip()


def changed_caption(caption: str, prompt: str) -> None:
    """Raises `bad-request` if both captions are the same, for methods that select the differences."""
    if prompt.strip() and prompt.split() == caption.split():
        raise VelaturaError("bad-request", "Both captions are the same; change a word in the prompt.")


def texts(caption: str, dial: fields.DialSettings) -> Texts:
    """The two captions that a dial leads between. Raises `bad-request` for a dial without words."""
    from velatura.flow.texts import of_dial

    return of_dial(caption, dial.less, dial.more)


def strongest(caption: str, dials: Sequence[fields.DialSettings]) -> str:
    """The caption that the strongest dial leads to; the layer's without dials."""
    if not dials:
        return caption
    dial = max(dials, key=lambda dial: abs(dial.strength))
    away, toward = texts(caption, dial)
    return toward if dial.strength > 0.0 else away


class Flow:
    """One run of such a method, from the layer to the pictures."""

    def __init__(self, inputs: MethodInputs, params: Any, context: Context, caption: str) -> None:
        from velatura.diffusion import blending

        self._inputs, self._params, self._context, self._caption = inputs, params, context, caption
        self._model = context.model
        self._z0 = self._model.encode(inputs.image)
        self._m = blending.latent_mask(inputs.mask, (self._z0.shape[-2], self._z0.shape[-1]))
        self._sigmas = self._levels(min(params.steps, DRAFT_STEPS) if context.is_draft else params.steps)

    def strengths(self, asked: Sequence[tuple[Texts, float]]) -> list[float]:
        """The strength s of each dial; even dials are tried out.

        asked: the two texts of each dial, and the share of its way in [-1, 1].
        """
        if not self._params.even:
            return [FARTHEST * share for _, share in asked]
        probes = evening.Probes(
            self._context, self._model, lambda: self._z0, len(self._sigmas) - 1, self._shown_latents
        )
        ways = [
            (texts if share > 0.0 else texts._replace(away=texts.toward, toward=texts.away), abs(share))
            for texts, share in asked
        ]
        found = probes.strengths(ways, self._probed, self._curve_key)
        return [math.copysign(s, share) for s, (_, share) in zip(found, asked, strict=True)]

    def edited(self, dials: Sequence[Dial], held_to: str) -> Tensor:
        """The pictures [N, 3, h, w] in [-1, 1] that the dials make of the layer, one a seed."""
        from velatura.flow import edit

        pulls = self._pulls(dials, held_to, len(self._sigmas) - 1)
        return self._run(lambda source: edit.edit(self._model, source, pulls, self._after_step, self._m))

    def plainly_edited(self, strength: float) -> Tensor:
        """As `edited`, by FlowEdit: without guidance at the layer, with guidance `strength` at the edit.

        A strength below 1 is a share of the edit without guidance. A model without guidance makes the edit
        without it at any strength from 1 on.
        """
        from velatura.flow import edit

        most = max(strength, 1.0) if guiding.is_guided(self._model) else 1.0
        guidances, share, wanted = (1.0, most), min(strength, 1.0), self._inputs.prompt
        return self._run(
            lambda source: edit.plain(
                self._model, source, wanted, guidances, self._after_step, self._m, share
            )
        )

    def changed(self, dials: Sequence[Dial], held_to: str) -> Tensor:
        """How visibly the dials change each pixel, [h, w] in [0, 1], for the first seed."""
        from velatura.flow import change, edit

        pulls = self._pulls(dials, held_to, len(self._sigmas) - 1)
        z = self._latents(lambda source: edit.edit(self._model, source, pulls, self._after_step, self._m))
        picture = self._context.decode(z[:1])
        return change.change(picture, self._context.reconstruction, self._reach)[0, 0]

    def _pulls(self, dials: Sequence[Dial], held_to: str, steps: int) -> Pulls:
        from velatura.flow.edit import Pulls

        params = self._params
        return Pulls(dials, held_to, params.zeta * HOLD_STEPS / steps, params.only_changes, params.self_until)

    def _run(self, make: Callable[[Source], Tensor]) -> Tensor:
        return self._shown(self._context.decode(self._latents(make)))

    def _latents(self, make: Callable[[Source], Tensor]) -> Tensor:
        from velatura.flow.source import kept

        made_of = (self._z0, self._caption, self._sigmas, self._inputs.seeds, self._params.noises)
        with kept(self._context.cache, self._model, *made_of) as source:
            return make(source)

    @property
    def _reach(self) -> int:
        return max(1, self._model.factor // 4)

    def _shown(self, pictures: Tensor) -> Tensor:
        from velatura.flow import change

        if not self._params.only_changes:
            return pictures
        return change.kept(pictures, self._context.reconstruction, self._reach)

    def _probed(self, way: Texts, strength: float, after_step: evening.AfterStep) -> Tensor:
        """The latents of one dial, by a run of few steps."""
        from velatura.flow import edit
        from velatura.flow.source import kept

        sigmas, cache = self._levels(evening.STEPS), self._context.cache
        pulls = self._pulls([edit.Dial(*way, strength)], self._caption, evening.STEPS)
        with kept(cache, self._model, self._z0, self._caption, sigmas, [evening.SEED]) as source:
            return edit.edit(self._model, source, pulls, lambda step: after_step(step.i))

    def _shown_latents(self, z: Tensor) -> Tensor:
        return self._shown(self._context.decode(z))

    def _curve_key(self, way: Texts) -> str:
        from velatura.cache.keys import key_of
        from velatura.flow.even import PROBES

        return key_of(
            self._model,
            flow="even",
            z0=self._z0,
            caption=self._caption,
            way=list(way),
            sigmas=self._levels(evening.STEPS),
            probes=list(PROBES),
            zeta=self._params.zeta,
            focused=self._params.only_changes,
            self_until=self._params.self_until,
        )

    def _levels(self, steps: int) -> list[float]:
        from velatura.diffusion import schedule

        return schedule.levels(self._model.training_sigmas, steps, self._params.start)

    def _after_step(self, step: Step) -> None:
        from velatura.diffusion.blending import blend

        def preview() -> Tensor:
            return self._model.decode(blend(step.expected[:1], self._z0, self._m))

        self._context.step(step.i + 1, step.n, preview)
