"""Dials inside of joint attention, on a layer or on a picture that a seed makes.

Dalva et al. 2024, FluxSpace, with Ju et al. 2024, PnP Inversion, or Huberman-Spiegelglas et al. 2024, for
layers. See `velatura.semantic.fluxspace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from velatura.models.traits import JOINT
from velatura_protocol.errors import VelaturaError

from . import fields, flowing, inverting, steering
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from velatura.diffusion.network import LatentDiffusion
    from velatura.diffusion.samplers import Step
    from velatura.semantic.fluxspace import Concept

DRAFT_STEPS = 10
FARTHEST = 5.0
"""The scale at 100 %, as published."""


class FluxSpaceConcept(fields.DialSettings):
    where: str | None = fields.raster(
        "mask", "Where", "Where it may change the picture; everywhere if nothing is chosen."
    )
    sure: float = fields.slider(
        0.5,
        0.0,
        0.95,
        0.05,
        "Only where it is",
        "How sure the model must be that the concept belongs to a place; at 0 it acts everywhere.",
    )
    begin: float = fields.slider(
        0.1, 0.0, 0.95, 0.05, "Begins", "After which share of the steps it begins; later it moves less."
    )
    end: float = fields.slider(1.0, 0.05, 1.0, 0.05, "Ends", "At which share of the steps it ends.")


class FluxSpaceParameters(Parameters):
    source_prompt: str = fields.source_prompt(
        "A caption of the layer as it is now, or of the new picture; the concepts are added to it."
    )
    concepts: list[FluxSpaceConcept] = fields.dials(
        "Concepts", "Each is something that there should be more of, or less; their sliders work together."
    )
    only_changes: bool = flowing.only_changes()
    start: Literal["layer", "new"] = fields.start()
    coarse: float = fields.slider(
        0.8,
        0.0,
        1.0,
        0.05,
        "Whole look",
        "How much of a concept is taken as the mood of the whole picture.",
        advanced=True,
    )
    guidance: float = fields.guidance(3.5)
    inversion: Literal["direct", "edit-friendly"] = fields.inversion()
    noise_start: float = inverting.noise_start()
    context: float = fields.context(1.0)
    steps: int = fields.steps(28)
    negative_prompt: str = fields.negative_prompt()


class FluxSpace(Method):
    id = "fluxspace"
    version = 1
    title = "Concepts by dials, for newer models"
    section = "degrees"
    summary = (
        "Gives a layer, or a new picture, more or less of several things at once; for models such as "
        "Stable Diffusion 3 and FLUX."
    )
    source = "Dalva et al. 2024, FluxSpace, arXiv:2412.09611; Ju et al. 2024, arXiv:2310.01506, algorithm 1"
    inputs = Inputs(source="required", mask="optional", prompt="optional")
    trait = JOINT
    place = 110
    Parameters = FluxSpaceParameters

    def varies(self, params: FluxSpaceParameters) -> bool:
        """Whether the seed matters: for a new picture, and for the inversion that draws noise."""
        return params.start == "new" or params.inversion == "edit-friendly"

    def check(self, prompt: str, params: FluxSpaceParameters) -> None:
        """Raises `empty-prompt` without a caption, `bad-request` without a concept, for a concept without
        words, and for one that ends before it begins."""
        caption = fields.caption(prompt, params.start, params.source_prompt)
        if not params.concepts and not _wanted(prompt, caption):
            raise VelaturaError("bad-request", "Add a concept, or write what the layer should show.")
        for concept in params.concepts:
            flowing.texts(caption, concept)
            steering.check_window(concept.name or concept.more or concept.less, concept.begin, concept.end)

    def wanted(self, prompt: str, params: FluxSpaceParameters) -> str:
        """The prompt, or the caption that the strongest concept leads to."""
        caption = fields.caption(prompt, params.start, params.source_prompt)
        return _wanted(prompt, caption) or flowing.strongest(caption, params.concepts)

    def run(self, inputs: MethodInputs, params: FluxSpaceParameters, context: Context) -> Tensor:
        from velatura.diffusion import blending
        from velatura.flow import change
        from velatura.semantic import fluxspace
        from velatura.semantic.source import Prompts, kept

        fluxspace.check(context.model)
        on_layer = params.start == "layer"
        # residuals lead a layer's run along its own latents, so its caption needs no guidance
        model, scale = context.model, 1.0 if on_layer else params.guidance
        caption = fields.caption(inputs.prompt, params.start, params.source_prompt)
        steps = min(params.steps, DRAFT_STEPS) if context.is_draft else params.steps
        sigmas = inverting.sigmas(model, steps, params)
        height, width = inputs.size
        places = height // model.factor, width // model.factor
        m = blending.latent_mask(inputs.mask, places)
        prompts = Prompts(caption, params.negative_prompt, scale)

        def after_step(step: Step) -> None:
            context.step(step.i + 1, step.n, lambda: model.decode(step.denoised[:1]))

        concepts = _concepts(model, params, inputs.rasters, m, len(sigmas) - 1)
        if wanted := _wanted(inputs.prompt, caption):
            whole = FluxSpaceConcept(name="", less="", more=wanted, strength=100.0)
            concepts.append(_concept(model, whole, m, len(sigmas) - 1))
        trajectory = steering.trajectory(model, inputs, params, context, sigmas, places, prompts)
        with kept(context.cache, model, trajectory, prompts, []) as source:
            z = fluxspace.edit(
                source,
                concepts,
                model.encode_prompt(""),
                after_step,
                coarse=params.coarse,
                m_latent=m if on_layer else None,
            )
        pictures = context.decode(z)
        if not on_layer or not params.only_changes:
            return pictures
        return change.kept(pictures, context.reconstruction, max(1, model.factor // 4))


def _wanted(prompt: str, caption: str) -> str:
    """The prompt, which is one more concept; '' where it is the caption."""
    return "" if prompt.split() == caption.split() else prompt.strip()


def _concepts(
    model: LatentDiffusion, params: FluxSpaceParameters, rasters: Mapping[str, Tensor], m: Tensor, n: int
) -> list[Concept]:
    """The concepts that are not at 0. m: the selection at the latents' size. n: the steps of the run."""
    import torch.nn.functional as F

    concepts: list[Concept] = []
    for settings in params.concepts:
        where = None
        if settings.where is not None:
            where = F.adaptive_max_pool2d(rasters[settings.where], (m.shape[-2], m.shape[-1]))
            steering.check_place(settings.name or settings.more or settings.less, where, m)
        if settings.strength:
            concepts.append(_concept(model, settings, m, n, where))
    return concepts


def _concept(
    model: LatentDiffusion, settings: FluxSpaceConcept, m: Tensor, n: int, where: Tensor | None = None
) -> Concept:
    """A concept for the mathematics. With both texts its slider leads to one or to the other."""
    from velatura.semantic.fluxspace import Concept

    more, less, scale = settings.more.strip(), settings.less.strip(), FARTHEST * settings.strength / 100.0
    text = more
    if not more or (less and scale < 0.0):  # to less of it is away from it, and back is towards it
        text, scale = less, -scale
    first, last = steering.window(settings.begin, settings.end, n)
    everywhere = where is None and bool((m > 0.0).all())
    place = None if everywhere else (m > 0.0).to(m) if where is None else where * (m > 0.0)
    return Concept(
        model.encode_prompt(text),
        model.tokenized(text).words,
        scale,
        settings.sure,
        first,
        last,
        place,
    )
