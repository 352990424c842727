"""LEDITS++: concepts are added to a layer or taken from it, each in the places that it finds itself.

Brack et al. 2024, LEDITS++: Limitless Image Editing using Text-to-Image Models, arXiv:2311.16711; see
`velatura.inversion.ledits` and `velatura.semantic.ledits`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from velatura_protocol import words
from velatura_protocol.errors import VelaturaError

from . import fields, steering
from .base import Context, Inputs, Method, MethodInputs, Parameters, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.inversion.ledits import Inverted
    from velatura.semantic.ledits import Base, Concept, Step

DRAFT_STEPS = 10
"""Steps of a draft, which has an inversion of its own."""


class LeditsConcept(Parameters):
    text: str = Field(
        "",
        max_length=500,
        title="What",
        description="What there should be more or less of: a thing, a look, a kind of light.",
        json_schema_extra={"x-prompt": True},
    )
    scale: float = fields.slider(
        4.0,
        -20.0,
        20.0,
        0.5,
        "How much",
        "Above 0 it is added, below 0 taken away; at 0 nothing changes.",
    )
    threshold: float = fields.slider(
        0.8,
        0.0,
        0.98,
        0.02,
        "Only there",
        "How small its place is: at 0.8 it changes a fifth of the picture, where it belongs most. It fills a "
        "selection, or a painted place, that is smaller than this.",
    )
    where: str | None = fields.raster(
        "mask", "Place", "A layer with its place painted in; without one, the whole selection."
    )
    begin: float = fields.slider(
        0.0,
        0.0,
        1.0,
        0.05,
        "Begins",
        "When it begins, as a share of the steps; late changes surfaces only.",
    )
    end: float = fields.slider(1.0, 0.0, 1.0, 0.05, "Ends", "When it ends, as a share of the steps.")


class LeditsParameters(Parameters):
    source_prompt: str = fields.source_prompt("A caption of the layer as it is now; it may stay empty.")
    concepts: list[LeditsConcept] = fields.group(
        "Concepts", "What is added or taken away, several at once, each in its own place.", 8
    )
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    start: float = fields.slider(
        0.9,
        0.1,
        1.0,
        0.05,
        "Freedom",
        "How far shapes may move: low keeps them and changes colours and surfaces, high gives them free.",
    )
    source_guidance: float = fields.slider(
        1.0,
        1.0,
        10.0,
        0.5,
        "Caption strength",
        "How strictly the layer is read as its caption; without a caption it does not matter.",
        advanced=True,
    )
    steps: int = fields.whole(20, 4, 100, "Steps", "How finely the way is divided.", advanced=True)


class Ledits(Method):
    id = "ledits"
    version = 1
    title = "Add or remove"
    section = "degrees"
    summary = "Adds what you name to the layer or takes it away, and finds the place for it itself."
    source = "Brack et al. 2024, LEDITS++, arXiv:2311.16711, section 4 and eq. 8 to 12"
    inputs = Inputs(source="required", mask="optional", prompt="optional")
    by_attention = True
    Parameters = LeditsParameters

    def check(self, prompt: str, params: LeditsParameters) -> None:
        """Raises `bad-request` without a concept, for one without words, and for one that ends before it
        begins."""
        concepts = _concepts(prompt, params)
        if not concepts:
            raise VelaturaError("bad-request", "Write what to add, or add a concept.")
        for number, concept in enumerate(params.concepts, 1):
            if not words.words(concept.text):  # a mark or a picture of a thing has no place in the maps
                raise VelaturaError(
                    "bad-request", f"Concept {number} has no words; write what it adds or takes away."
                )
            steering.check_window(concept.text, concept.begin, concept.end)

    def wanted(self, prompt: str, params: LeditsParameters) -> str:
        """The layer's caption and what is added to it."""
        added = [concept.text.strip() for concept in _concepts(prompt, params) if concept.scale > 0.0]
        return ", ".join(text for text in (params.source_prompt.strip(), *added) if text)

    def run(self, inputs: MethodInputs, params: LeditsParameters, context: Context) -> Tensor:
        from velatura.diffusion import blending, schedule
        from velatura.semantic import ledits

        model = context.model
        sigmas = schedule.levels(
            model.training_sigmas,
            min(params.steps, DRAFT_STEPS) if context.is_draft else params.steps,
            params.start,
        )
        z0, base = model.encode(inputs.image), _base(params, context)
        m = blending.latent_mask(inputs.mask, (z0.shape[-2], z0.shape[-1]))
        n = len(sigmas) - 1
        concepts = [_concept(asked, inputs, context, m, n) for asked in _concepts(inputs.prompt, params)]
        source = _inverted(z0, base, sigmas, inputs, context)

        def after_step(step: Step) -> None:
            context.step(step.i + 1, step.n, lambda: model.decode(step.expected[:1]))

        return context.decode(ledits.edit(model, source, base, concepts, m, after_step))


def _concepts(prompt: str, params: LeditsParameters) -> list[LeditsConcept]:
    """Those of the list, and the prompt as one more."""
    return [*([LeditsConcept(text=prompt)] if prompt else []), *params.concepts]


def _base(params: LeditsParameters, context: Context) -> Base:
    from velatura.semantic.ledits import Base

    caption, uncond = params.source_prompt.strip(), context.model.encode_prompt("")
    if not caption:
        return Base(uncond, uncond, 1.0)
    return Base(context.model.encode_prompt(caption), uncond, params.source_guidance)


def _concept(asked: LeditsConcept, inputs: MethodInputs, context: Context, m: Tensor, n: int) -> Concept:
    """A concept for the mathematics. Raises `bad-request` if its place is outside of the selection.

    m: the selection at the latents' size. n: the steps of the run.
    """
    import torch.nn.functional as F

    from velatura.semantic.ledits import Concept

    model, text = context.model, asked.text.strip()
    where = (m > 0.0).to(m)
    if asked.where is not None:
        place = F.adaptive_max_pool2d(inputs.rasters[asked.where], (m.shape[-2], m.shape[-1]))
        steering.check_place(text, place, m)
        where = where * place
    first, last = steering.window(asked.begin, asked.end, n)
    content, c = model.tokenized(text).words, model.encode_prompt(text)
    threshold = steering.quantile(1.0 - asked.threshold, where)
    return Concept(c, content, asked.scale, threshold, first, last, where)


def _inverted(
    z0: Tensor, base: Base, sigmas: list[float], inputs: MethodInputs, context: Context
) -> Inverted:
    """The layer's inversion; each variation's predictions are kept."""
    from velatura.cache.keys import key_of
    from velatura.diffusion.denoiser import guided_by
    from velatura.inversion import ledits

    model, n = context.model, (len(sigmas) - 1) * len(inputs.seeds)
    stage = Stage("Reading the layer", 0.5)

    def kept(seed: int, make: Callable[[list[Tensor]], list[Tensor]]) -> list[Tensor]:
        name = key_of(
            model,
            ledits="D(x; sigma)",
            z0=z0,
            c=base.c.states,
            uncond=base.uncond.states,
            guidance=[base.scale, model.guidance_rescale],
            sigmas=sigmas,
            seed=seed,
        )
        return context.kept(name, make, on_disk=True)

    D = guided_by(model, base.c, base.uncond, base.scale)
    return ledits.invert(D, z0, sigmas, inputs.seeds, kept, lambda i, _: context.step(i, n, stage=stage))
