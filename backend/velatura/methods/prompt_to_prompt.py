"""Prompt-to-Prompt: the picture of one prompt becomes that of another, word by word.

Hertz et al. 2022, Prompt-to-Prompt Image Editing with Cross Attention Control, with Ju et al. 2024, PnP
Inversion, for layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field
from pydantic.config import JsonDict, JsonValue

from velatura_protocol.errors import VelaturaError

from . import fields, inverting
from .base import Context, Inputs, Method, MethodInputs, Parameters, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.diffusion.network import LatentDiffusion
    from velatura.prompt_to_prompt.edit import Reach, Terms
    from velatura.prompt_to_prompt.plan import Settings, WordSetting
    from velatura.prompt_to_prompt.source import Source, Wanted


class PromptWord(fields.WordSettings):
    weight: float = fields.slider(
        1.0, -2.0, 4.0, 0.1, "Weight", "Turns the word up or down; 0 removes the thing that it names."
    )
    until: float = fields.slider(
        1.0,
        0.0,
        1.0,
        0.05,
        "Keeps its shape",
        "For which part of the layout steps the word keeps the shape it has in the layer.",
    )


def _share(default: float, title: str, description: str) -> Any:
    return fields.slider(default, 0.0, 1.0, 0.05, title, description, advanced=True)


def _choice(default: str, title: str, description: str, titles: list[JsonValue]) -> Any:
    extra: JsonDict = {**fields.ADVANCED, "x-enum-titles": titles}
    return Field(default, title=title, description=description, json_schema_extra=extra)


def _phrases(title: str, description: str) -> Any:
    which = "Equal words all count; “cat:2” is the second of the prompt alone."
    description = f"Words, with commas between, {description} {which}"
    return Field("", max_length=500, title=title, description=description, json_schema_extra=fields.ADVANCED)


class PromptToPromptParameters(Parameters):
    source_prompt: str = fields.source_prompt(
        "A caption of the layer as it is now. The prompt is the same caption with other words."
    )
    words: list[PromptWord] = fields.word_settings("Words", "Words of the prompt that are turned up or down.")
    preset: Literal["own", "published", "cycle-consistent"] = Field(
        "own",
        title="Settings",
        description="Well-known settings to use instead of those below. Weights hold in every step, "
        "where the published ones end with the layout.",
        json_schema_extra={
            "x-enum-titles": [
                "As set below",
                "As first published",
                "Agreeing with the way back (CL P2P)",
            ]
        },
    )
    local_blend: bool = Field(
        True,
        title="Only where the words are",
        description="Leaves the picture as it is wherever the changed words are not.",
    )
    threshold: float = fields.slider(
        0.45,
        0.0,
        0.95,  # nothing is above 1
        0.05,
        "Threshold",
        "How sure it must be that a word is somewhere; lower reaches wider.",
    )
    guidance: float = fields.guidance(3.0)
    start: Literal["layer", "new"] = fields.start()
    inversion: Literal[
        "direct", "uni-inv", "fireflow", "dna", "ddim", "negative-prompt", "null-text", "edit-friendly"
    ] = _choice(
        "direct",
        "Inversion",
        "How the layer is read as the model's own picture. Only DNAEdit and edit-friendly noise give "
        "variations.",
        [
            "Direct",
            "Direct, by Uni-Inv",
            "Direct, by FireFlow",
            "Direct, by DNAEdit",
            "DDIM",
            "Negative prompt",
            "Null text (slow)",
            "Edit-friendly noise",
        ],
    )
    noise_start: float = inverting.noise_start()
    cross_until: float = _share(0.4, "Layout kept", "For which part of the steps words keep their shapes.")
    self_until: float = _share(
        0.4, "Structure kept", "For which part of the steps the picture keeps its structure."
    )
    self_places: Literal["all", "half", "quarter"] = _choice(
        "half",
        "Structure, detail",
        "How fine the structure is that is kept.",
        ["Finest", "Half as fine", "A quarter as fine"],
    )
    value_until: float = _share(
        0.0, "Appearance kept", "For which part of the steps the layer's appearance is mixed in."
    )
    value_share: float = _share(0.5, "Appearance, share", "How much of it.")
    replaced: Literal["swap", "refine"] = _choice(
        "swap",
        "Replaced words",
        "Whether a word that replaces another takes its shape.",
        ["Take the old shape", "Find their own shape"],
    )
    renormalise: bool = Field(
        True,
        title="Balanced weights",
        description="A word turned up takes its strength from the other words, which keeps pictures whole.",
        json_schema_extra=fields.ADVANCED,
    )
    blend_start: float = _share(
        0.2, "Blend from", "After which part of the steps the rest is held to the layer."
    )
    blend_words: str = _phrases("Change only", "whose places may change; empty: those of the changed words.")
    keep_words: str = _phrases("Leave alone", "whose places stay as they are.")
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    steps: int = fields.steps(25)
    negative_prompt: str = fields.negative_prompt()


# All settings of an edit but the words, which the authors let a person choose; guidance and steps are the
# model's.
PRESETS = {
    # Hertz et al.'s notebooks for Stable Diffusion: self-attention up to 32 x 32 of 64 x 64 places, local
    # blend after a fifth of the steps, weights without renormalising
    "published": {
        "cross_until": 0.8,
        "self_until": 0.2,
        "self_places": "half",
        "value_until": 0.0,
        "value_share": 0.0,
        "replaced": "swap",
        "renormalise": False,
        "local_blend": True,
        "threshold": 0.3,
        "blend_start": 0.2,
    },
    # Bieske, CL P2P: self-attention up to 16 x 16 of LDM-256's 32 x 32; k 0, which is no local blend; values,
    # for which it gives neither steps nor share
    "cycle-consistent": {
        "cross_until": 0.2,
        "self_until": 0.8,
        "self_places": "half",
        "value_until": 0.2,
        "value_share": 0.5,
        "replaced": "swap",
        "renormalise": False,
        "local_blend": False,
        "threshold": 0.0,
        "blend_start": 0.0,
    },
}
_SHARES = {"all": 1.0, "half": 0.25, "quarter": 0.0625}  # of the latent's places


class PromptToPrompt(Method):
    id = "prompt-to-prompt"
    version = 1
    title = "Change words"
    summary = "Changes the things that the changed words name, and leaves the rest of the picture."
    source = (
        "Hertz et al. 2022, Prompt-to-Prompt, arXiv:2208.01626, algorithm 1; Ju et al. 2024, arXiv:2310.01506"
    )
    section = "words"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    by_attention = True
    Parameters = PromptToPromptParameters

    def varies(self, params: PromptToPromptParameters) -> bool:
        """Whether the seed matters: for a new picture, and for the inversion that draws noise."""
        return varies(params)

    def check(self, prompt: str, params: PromptToPromptParameters) -> None:
        """Raises `empty-prompt` without a caption of the layer, `bad-request` for a word that the prompt
        lacks."""
        check(prompt, params)

    def run(self, inputs: MethodInputs, params: PromptToPromptParameters, context: Context) -> Tensor:
        return edited(inputs, params, context)


def varies(params: PromptToPromptParameters) -> bool:
    """As `PromptToPrompt.varies`."""
    return params.start == "new" or params.inversion in ("dna", "edit-friendly")


def check(prompt: str, params: PromptToPromptParameters) -> None:
    """As `PromptToPrompt.check`."""
    from velatura.prompt_to_prompt.prompt import find

    fields.caption(prompt, params.start, params.source_prompt)
    for word in _listed(params):
        find(prompt, word.text, word.which)


class Further(NamedTuple):
    """Guidance beside the words: see `velatura.prompt_to_prompt.edit.edit`."""

    terms: Terms
    reach: Reach | None


def edited(
    inputs: MethodInputs,
    params: PromptToPromptParameters,
    context: Context,
    further: Callable[[int], Further] | None = None,
    *,
    may_stay: bool = False,
) -> Tensor:
    """The edited pictures, as `Method.run` returns them.

    Args:
        inputs, params, context: of the run.
        further: makes the guidance beside the words, from the number of steps; None: there is none.
        may_stay: whether words that change nothing give the layer; otherwise they are refused.
    """
    from velatura.diffusion import blending
    from velatura.prompt_to_prompt import edit, plan
    from velatura.prompt_to_prompt import source as sources

    source_prompt = fields.caption(inputs.prompt, params.start, params.source_prompt)
    model, negative = context.model, params.negative_prompt
    sigmas = inverting.sigmas(model, params.steps, params)
    n = len(sigmas) - 1
    planned = plan.plan(model, source_prompt, inputs.prompt, _words(params), settings(params), n)
    if params.start == "layer" and not planned.changes and further is None:
        if context.is_draft:  # a slider passes through settings that change nothing
            return inputs.image
        if may_stay:
            return context.reconstruction.expand(len(inputs.seeds), -1, -1, -1)
        raise VelaturaError(
            "bad-request", "Both captions are the same; change a word, or turn one up or down."
        )
    wanted = sources.Wanted(source_prompt, negative, sigmas, params.guidance)
    source = _source(inputs, params, context, wanted)
    was_known = source.trajectory.is_known
    m_latent = latent_mask(inputs, model)

    def after_step(step: edit.Step) -> None:
        context.step(step.i + 1, n, lambda: model.decode(shown(step)))

    def shown(step: edit.Step) -> Tensor:
        z0, D = source.trajectory.z0, step.denoised
        return D[:1] if z0 is None else blending.blend(D[:1], z0[:1], m_latent)

    terms, reach = (edit.no_terms, None) if further is None else further(n)
    try:
        z = edit.edit(
            model,
            source.trajectory,
            edit.Conditions(
                *(model.encode_prompt(text) for text in (source_prompt, inputs.prompt, negative))
            ),
            planned.control,
            guidance=params.guidance,
            after_step=after_step,
            local=planned.local,
            m_latent=m_latent,
            features=source.features,
            terms=terms,
            reach=reach,
        )
    finally:
        sources.remember(context.cache, source, was_known=was_known)
    end = source.trajectory.z0
    assert end is not None  # the edit has sampled along the whole trajectory
    if planned.local is not None and z.equal(blending.blend(end, end, m_latent)):
        raise VelaturaError("bad-request", _nowhere(params))
    return context.decode(z)


def _source(
    inputs: MethodInputs, params: PromptToPromptParameters, context: Context, wanted: Wanted
) -> Source:
    from velatura.prompt_to_prompt import source as sources

    model = context.model
    if params.start == "new":
        shape = (model.latent_channels, *_places(inputs, model))
        return sources.imagined(model, context.cache, shape, wanted, inputs.seeds)

    def after_step(i: int, n: int) -> None:
        context.step(i, n, stage=Stage("Reading the layer", n / (n + len(wanted.sigmas) - 1)))

    kind = params.inversion
    return sources.inverted(model, context.cache, inputs.image, wanted, kind, inputs.seeds, after_step)


def latent_mask(inputs: MethodInputs, model: LatentDiffusion) -> Tensor:
    """The selection, [1, 1, h, w] at the latents' size."""
    from velatura.diffusion import blending

    return blending.latent_mask(inputs.mask, _places(inputs, model))


def _places(inputs: MethodInputs, model: LatentDiffusion) -> tuple[int, int]:
    """Height and width of the latents."""
    height, width = inputs.size
    return height // model.factor, width // model.factor


def _nowhere(params: PromptToPromptParameters) -> str:
    """Why local blend has returned the source, and what to do."""
    otherwise = "name fewer words to leave alone, " if params.keep_words.strip() else ""
    return f"No place is left that may change; {otherwise}select more of the layer or lower the threshold."


def _listed(params: PromptToPromptParameters) -> list[PromptWord]:
    """The entries that name a word."""
    return [word for word in params.words if word.text.strip()]


def _words(params: PromptToPromptParameters) -> list[WordSetting]:
    from velatura.prompt_to_prompt.plan import WordSetting

    return [WordSetting(word.text, word.which, word.weight, word.until) for word in _listed(params)]


def settings(params: PromptToPromptParameters) -> Settings:
    """The settings of the edit: those of the form, or of the preset."""
    from velatura.prompt_to_prompt.plan import Settings

    params = params.model_copy(update=PRESETS.get(params.preset, {}))

    def phrases(text: str) -> list[str]:
        return [phrase.strip() for phrase in text.split(",") if phrase.strip()]

    return Settings(
        cross_until=params.cross_until,
        self_until=params.self_until,
        self_share=_SHARES[params.self_places],
        value_until=params.value_until,
        value_share=params.value_share,
        renormalise=params.renormalise,
        replaced=params.replaced,
        local_blend=params.local_blend,
        threshold=params.threshold,
        blend_start=params.blend_start,
        blend_words=phrases(params.blend_words),
        keep_words=phrases(params.keep_words),
    )
