"""SEGA: more or less of any number of concepts, on a layer or on a picture that a seed makes.

Brack et al. 2023, SEGA: Instructing Text-to-Image Models using Semantic Guidance, with Ju et al. 2024, PnP
Inversion, or Huberman-Spiegelglas et al. 2024, for layers. See `velatura.semantic`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import evening, fields, flowing, inverting, steering
from .base import Context, Inputs, Method, MethodInputs, Parameters, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from velatura.diffusion.samplers import Step
    from velatura.inversion.trajectory import Trajectory

DRAFT_STEPS = 10
_BEFORE_PROBES = 0.05
"""The share of a run in which probes get their picture."""
_MAKING = Stage("Making the new picture", _BEFORE_PROBES)


class SegaParameters(Parameters):
    source_prompt: str = fields.source_prompt(
        "A caption of the layer as it is now, or of the new picture; the concepts lead away from it."
    )
    concepts: list[steering.ConceptSettings] = steering.concepts()
    even: bool = Field(
        False,
        title="Even dials",
        description="Equal moves give about equal change, and at 100 the picture is about to break. "
        "The first look at a concept takes longer.",
    )
    only_changes: bool = flowing.only_changes()
    guidance: float = fields.guidance(3.0)
    start: Literal["layer", "new"] = fields.start()
    words_of_concepts: steering.Words = steering.words_of_concepts()
    inversion: Literal["direct", "edit-friendly"] = fields.inversion()
    noise_start: float = inverting.noise_start()
    momentum: float = steering.momentum()
    momentum_kept: float = steering.momentum_kept()
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    steps: int = fields.steps(25)
    negative_prompt: str = fields.negative_prompt()


class Sega(Method):
    id = "sega"
    version = 1
    title = "Concepts by dials"
    section = "degrees"
    summary = "Gives a layer, or a new picture, more or less of several things at once, each by a dial."
    source = (
        "Brack et al. 2023, SEGA, arXiv:2301.12247, eq. 3 to 9; Ju et al. 2024, arXiv:2310.01506, algorithm 1"
    )
    inputs = Inputs(source="required", mask="optional", prompt="optional")
    Parameters = SegaParameters

    def varies(self, params: SegaParameters) -> bool:
        """Whether the seed matters: for a new picture, and for the inversion that draws noise."""
        return params.start == "new" or params.inversion == "edit-friendly"

    def check(self, prompt: str, params: SegaParameters) -> None:
        """Raises `empty-prompt` without a caption, `bad-request` for a concept without words, and for one
        that ends before it begins."""
        caption = fields.caption(prompt, params.start, params.source_prompt)
        steering.check(caption, params.concepts)
        if not params.concepts and not _wanted(prompt, params):
            raise VelaturaError("bad-request", "Add a concept, or write what the layer should show.")

    def wanted(self, prompt: str, params: SegaParameters) -> str:
        """The prompt, or the caption that the strongest concept leads to."""
        caption = fields.caption(prompt, params.start, params.source_prompt)
        return _wanted(prompt, params) or flowing.strongest(caption, params.concepts)

    def run(self, inputs: MethodInputs, params: SegaParameters, context: Context) -> Tensor:
        steps = min(params.steps, DRAFT_STEPS) if context.is_draft else params.steps
        run = _Run(inputs, params, context, steps, inputs.seeds)
        scales = _scales(inputs, params, context, steps)

        def after_step(step: Step) -> None:
            context.step(step.i + 1, step.n, lambda: context.model.decode(step.denoised[:1]))

        z = run.edited(scales, after_step, _wanted(inputs.prompt, params))
        return _shown(context.decode(z), params, context)


def _shown(pictures: Tensor, params: SegaParameters, context: Context) -> Tensor:
    from velatura.flow import change

    if params.start == "new" or not params.only_changes:
        return pictures
    return change.kept(pictures, context.reconstruction, max(1, context.model.factor // 4))


def _scales(inputs: MethodInputs, params: SegaParameters, context: Context, steps: int) -> list[float]:
    """s_e of each concept; even dials are tried out, each direction once a layer."""
    concepts = params.concepts
    shares = [concept.strength / 100.0 for concept in concepts]
    if not (params.even and any(shares)):
        return steering.scales(params)
    caption = fields.caption(inputs.prompt, params.start, params.source_prompt)
    run = _Run(inputs, params, context, evening.STEPS, [evening.SEED], is_probe=True)
    ways: dict[int, _Way] = {}
    for i, (concept, share) in enumerate(zip(concepts, shares, strict=True)):
        texts = flowing.texts(caption, concept)
        if share:
            ends = (texts.away, texts.toward) if share > 0.0 else (texts.toward, texts.away)
            ways[i] = _Way(*ends, i, 1.0 if share > 0.0 else -1.0)

    def edited(way: _Way, strength: float, after_step: evening.AfterStep) -> Tensor:
        scales = [0.0] * len(concepts)
        scales[way.concept] = way.sign * strength
        return run.edited(scales, lambda step: after_step(step.i))

    def unedited() -> Tensor:
        is_new = params.start == "new"  # a layer's latents are known, those of a new picture are sampled

        def after_step(step: Step) -> None:
            if is_new:
                context.step(step.i + 1, step.n, stage=_MAKING)

        return run.edited([0.0] * len(concepts), after_step)

    probes = evening.Probes(
        context, context.model, unedited, steps, lambda z: _shown(context.decode(z), params, context)
    )
    found = probes.strengths(
        [(way, abs(shares[i])) for i, way in ways.items()],
        edited,
        lambda way: run.key(concepts[way.concept], way.sign),
    )
    scales = dict(zip(ways, found, strict=True))
    return [ways[i].sign * scales[i] if i in scales else 0.0 for i in range(len(concepts))]


def _wanted(prompt: str, params: SegaParameters) -> str:
    """The prompt that the edit follows in place of the source's caption; '' where it is the same."""
    caption = fields.caption(prompt, params.start, params.source_prompt)
    return "" if prompt.strip() == caption else prompt.strip()


class _Way(NamedTuple):
    """A direction of a concept. concept: its place in the list; sign: 1.0 or -1.0."""

    away: str
    toward: str
    concept: int
    sign: float


class _Run:
    """The runs of one request with so many steps, from the layer or the seeds to the latents."""

    def __init__(
        self,
        inputs: MethodInputs,
        params: SegaParameters,
        context: Context,
        steps: int,
        seeds: Sequence[int],
        *,
        is_probe: bool = False,
    ) -> None:
        from velatura.diffusion import blending
        from velatura.semantic.source import Prompts

        self._inputs, self._params, self._context, self._seeds = inputs, params, context, seeds
        self._is_probe = is_probe
        self._model = model = context.model
        self._sigmas = inverting.sigmas(model, steps, params)
        self._n = len(self._sigmas) - 1
        height, width = inputs.size
        self._places = height // model.factor, width // model.factor
        self._m = blending.latent_mask(inputs.mask, self._places)
        caption = fields.caption(inputs.prompt, params.start, params.source_prompt)
        # residuals lead a layer's run along its own latents, so its caption needs no guidance
        guides = params.start == "new" or bool(_wanted(inputs.prompt, params))
        self._prompts = Prompts(caption, params.negative_prompt, params.guidance if guides else 1.0)

    def edited(self, scales: Sequence[float], after_step: Callable[[Step], None], wanted: str = "") -> Tensor:
        """The edited latents [B, C, h, w], one a seed.

        Args:
            scales: s_e of each concept.
            after_step: called after each step.
            wanted: the prompt of the edit; '' for the source's.
        """
        from velatura.semantic.edit import edit
        from velatura.semantic.source import kept

        semantic = steering.semantic(
            self._model,
            self._params,
            scales,
            self._prompts.prompt,
            self._inputs.rasters,
            self._m,
            self._n,
        )
        made_of = (self._model, self._trajectory(), self._prompts, semantic.conditions)
        with kept(self._context.cache, *made_of) as source:
            return edit(
                source,
                semantic,
                after_step,
                m_latent=self._m if self._params.start == "layer" else None,
                wanted=self._model.encode_prompt(wanted) if wanted else None,
            )

    def key(self, concept: steering.ConceptSettings, sign: float) -> str:
        """The name of a concept's even curve in one direction."""
        from velatura.cache.keys import key_of
        from velatura.flow.even import PROBES

        params = self._params
        settings = concept.model_dump(exclude={"name", "strength", "where"})
        where = None if concept.where is None else self._inputs.rasters[concept.where]
        return key_of(
            self._model,
            semantic="even",
            source=self._trajectory().x,
            prompts=list(self._prompts),
            rescale=self._model.guidance_rescale,
            sigmas=self._sigmas,
            concept=settings,
            words=params.words_of_concepts,
            sign=sign,
            where=where,
            selected=self._m,
            momentum=[params.momentum, params.momentum_kept],
            focused=params.only_changes,
            probes=list(PROBES),
        )

    def _trajectory(self) -> Trajectory:
        from velatura.prompt_to_prompt import source as inversions
        from velatura.semantic import source

        inputs, model, context, prompts = self._inputs, self._model, self._context, self._prompts
        if self._params.start == "new":
            shape = (model.latent_channels, *self._places)
            return source.imagined(model, shape, self._sigmas, self._seeds)

        def reading(i: int, n: int) -> None:
            share = _BEFORE_PROBES if self._is_probe else n / (n + self._n)
            context.step(i, n, stage=Stage("Reading the layer", share))

        if self._params.inversion == "edit-friendly":
            made_of = (inputs.image, prompts, self._sigmas, self._seeds)
            return source.edit_friendly(context.cache, model, *made_of, reading)
        wanted = inversions.Wanted(prompts.prompt, prompts.negative, self._sigmas, prompts.guidance)
        made_of = (inputs.image, wanted, "direct", self._seeds)
        return inversions.inverted(model, context.cache, *made_of, reading).trajectory
