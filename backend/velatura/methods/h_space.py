"""Deep dials: directions between two texts in the middle of the network, found without training.

Kwon et al. 2023, Diffusion Models Already Have a Semantic Latent Space (Asyrp); see
`velatura.semantic.h_space`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from velatura_protocol.errors import VelaturaError

from . import fields, flowing, inverting, steering
from .base import Context, Inputs, Method, MethodInputs, Parameters, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from velatura.diffusion.samplers import Step
    from velatura.flow.texts import Texts
    from velatura.inversion.trajectory import AfterStep
    from velatura.semantic.h_space import Move
    from velatura.semantic.source import Source

DRAFT_STEPS = 8
LEARNING = Stage("Learning the dials", 0.6)
FARTHEST = 1.5
"""The multiple of a direction at 100 %; at 1 the prediction follows the other text."""


class HSpaceParameters(Parameters):
    source_prompt: str = fields.source_prompt(
        "A caption of the layer as it is now, or of the new picture; the dials lead away from it."
    )
    dials: list[fields.DialSettings] = fields.dials(
        "Dials", "Each leads from one thing to another: a slight smile to a broad one, young to old."
    )
    only_changes: bool = flowing.only_changes()
    start: Literal["layer", "new"] = fields.start()
    begin: float = fields.slider(
        0.3,
        0.0,
        0.95,
        0.05,
        "Begins",
        "After which share of the steps dials begin: early they may move shapes, late surfaces only.",
        advanced=True,
    )
    end: float = fields.slider(
        1.0, 0.05, 1.0, 0.05, "Ends", "At which share of the steps dials end.", advanced=True
    )
    guidance: float = fields.guidance(3.0)
    inversion: Literal["direct", "edit-friendly"] = fields.inversion()
    noise_start: float = inverting.noise_start()
    tries: int = fields.whole(
        5, 1, 50, "Care", "How long each step of a dial is learned, once a layer and dial.", advanced=True
    )
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    steps: int = fields.steps(16)
    negative_prompt: str = fields.negative_prompt()


class HSpace(Method):
    id = "h-space"
    version = 1
    title = "Deep dials"
    section = "degrees"
    summary = (
        "Gives a layer, or a new picture, more or less of several things; a dial is learned once a layer."
    )
    source = (
        "Kwon et al. 2023, Asyrp, arXiv:2210.10960, section 3; Ju et al. 2024, arXiv:2310.01506, algorithm 1"
    )
    inputs = Inputs(source="required", mask="optional", prompt="optional")
    Parameters = HSpaceParameters

    def varies(self, params: HSpaceParameters) -> bool:
        """Whether the seed matters: for a new picture, and for the inversion that draws noise."""
        return params.start == "new" or params.inversion == "edit-friendly"

    def check(self, prompt: str, params: HSpaceParameters) -> None:
        """Raises `empty-prompt` without a caption, `bad-request` without a dial, for a dial without words,
        and for dials that end before they begin."""
        caption = fields.caption(prompt, params.start, params.source_prompt)
        for dial in params.dials:
            flowing.texts(caption, dial)
        if not params.dials and not _wanted(prompt, caption):
            raise VelaturaError("bad-request", "Add a dial, or write what the layer should show.")
        steering.check_window("Dials", params.begin, params.end)

    def wanted(self, prompt: str, params: HSpaceParameters) -> str:
        """The prompt, or the caption that the strongest dial leads to."""
        caption = fields.caption(prompt, params.start, params.source_prompt)
        return _wanted(prompt, caption) or flowing.strongest(caption, params.dials)

    def run(self, inputs: MethodInputs, params: HSpaceParameters, context: Context) -> Tensor:
        from velatura.diffusion import blending
        from velatura.flow import change
        from velatura.semantic import h_space
        from velatura.semantic.source import Prompts, kept

        model, caption = context.model, fields.caption(inputs.prompt, params.start, params.source_prompt)
        with model.bottleneck(lambda h: h):
            pass  # a model without one is refused before work begins
        steps = min(params.steps, DRAFT_STEPS) if context.is_draft else params.steps
        sigmas = inverting.sigmas(model, steps, params)
        height, width = inputs.size
        places = height // model.factor, width // model.factor
        m = blending.latent_mask(inputs.mask, places)
        # residuals lead a layer's run along its own latents, so its caption needs no guidance
        prompts = Prompts(caption, params.negative_prompt, params.guidance if params.start == "new" else 1.0)

        def after_step(step: Step) -> None:
            context.step(step.i + 1, step.n, lambda: model.decode(step.denoised[:1]))

        trajectory = steering.trajectory(model, inputs, params, context, sigmas, places, prompts)
        with kept(context.cache, model, trajectory, prompts, []) as source:
            moves = _moves(params, context, caption, _wanted(inputs.prompt, caption), source)
            on_layer = params.start == "layer"
            z = h_space.edit(source, model, moves, after_step, m_latent=m if on_layer else None)
        pictures = context.decode(z)
        if not on_layer or not params.only_changes:
            return pictures
        return change.kept(pictures, context.reconstruction, max(1, model.factor // 4))


def _wanted(prompt: str, caption: str) -> str:
    """The prompt that the edit follows; '' where it is the caption."""
    return "" if prompt.split() == caption.split() else prompt.strip()


def _moves(
    params: HSpaceParameters, context: Context, caption: str, wanted: str, source: Source
) -> list[Move]:
    """The moves of the dials that are not at 0, and of the prompt; each direction is learned once a layer."""
    from velatura.flow.texts import Texts
    from velatura.semantic.h_space import Move

    steps = range(*steering.window(params.begin, params.end, source.n))
    asked = [(flowing.texts(caption, dial), FARTHEST * dial.strength / 100.0) for dial in params.dials]
    asked = [(texts, amount) for texts, amount in asked if amount and texts.away != texts.toward]
    if wanted:
        asked.append((Texts(caption, wanted), 1.0))
    moves: list[Move] = []
    for number, (texts, amount) in enumerate(asked):

        def after_step(i: int, n: int, number: int = number) -> None:
            context.step(number * n + i, len(asked) * n, stage=LEARNING)

        deltas = _learned(params, context, texts, source, steps, after_step)
        moves.append(Move(deltas, amount, steps.start))
    return moves


def _learned(
    params: HSpaceParameters,
    context: Context,
    texts: Texts,
    source: Source,
    steps: range,
    after_step: AfterStep,
) -> Sequence[Tensor]:
    """Delta h_t of a dial for the steps in which it acts."""
    from velatura.cache.keys import key_of
    from velatura.semantic import h_space

    model = context.model
    away, toward = map(model.encode_prompt, texts)
    name = key_of(
        model,
        h_space="fit",
        texts=list(texts),
        sigmas=source.sigmas,
        x=source.x(source.n),
        noise=source.x(0),
        steps=[steps.start, steps.stop],
        tries=params.tries,
    )

    def fit(known: list[Tensor]) -> list[Tensor]:
        return h_space.fit(source, model, away, toward, steps, params.tries, known, after_step)

    return context.kept(name, fit, on_disk=True)
