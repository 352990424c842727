"""Select by word: where the words of a caption are in the layer.

The cross-attention maps of Hertz et al. 2022, section 3, of an existing picture, spread along
self-attention (Wang et al. 2023, eq. 5); with joint attention the maps of concepts (Helbling et al. 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from velatura_protocol.errors import VelaturaError
from velatura_protocol.words import Word

from . import fields
from .base import Context, Inputs, Mask, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from velatura.diffusion.network import LatentDiffusion


class MappedWord(fields.WordSettings):
    """A word or phrase to select."""


class WordMapParameters(Parameters):
    words: list[MappedWord] = fields.word_settings(
        "Words", "What to select; without any, each word of the caption gives a mask."
    )
    threshold: float = fields.slider(
        0.5, 0.0, 1.0, 0.05, "Threshold", "How sure it must be that a word is somewhere; lower reaches wider."
    )
    softness: float = fields.softness()
    refine: int = fields.whole(
        1, 0, 4, "Follow edges", "How often the selection is spread to places that look alike.", advanced=True
    )
    noise: float = fields.slider(
        0.4, 0.05, 0.95, 0.05, "Noise", "The share of noise at which the model looks; less sees finer parts."
    )
    looks: int = fields.whole(
        4, 1, 16, "Looks", "How often it looks, each time with other noise.", advanced=True
    )
    reading: Literal["best", "attention", "concepts"] = Field(
        "best",
        title="Reads words",
        description="As words of the caption, or each as a concept by itself, which models such as Stable "
        "Diffusion 3 and FLUX can; edges then follow the picture by themselves.",
        json_schema_extra={
            **fields.ADVANCED,
            "x-enum-titles": ["As suits the model", "As words of the caption", "As concepts"],
        },
    )
    context: float = fields.context(1.0)


class WordMap(Method):
    id = "word-map"
    version = 1
    title = "Select by word"
    summary = "Finds where the words of a caption are in the layer."
    source = (
        "Hertz et al. 2022, arXiv:2208.01626, section 3; Wang et al. 2023, arXiv:2309.02773, eq. 5; "
        "Helbling et al. 2025, arXiv:2502.04320 (ConceptAttention)"
    )
    inputs = Inputs(source="required", mask="optional", prompt="required")
    result: ClassVar = "mask"
    max_variations = 1
    by_attention = True
    Parameters = WordMapParameters

    def check(self, prompt: str, params: WordMapParameters) -> None:
        """Raises `empty-prompt` for a caption without words, `bad-request` for a word that it lacks."""
        _asked(prompt, params)

    def run(self, inputs: MethodInputs, params: WordMapParameters, context: Context) -> list[Mask]:
        from velatura.diffusion import noise, schedule
        from velatura.prompt_to_prompt import maps

        model = context.model
        is_joint = model.joint_blocks is not None
        if params.reading == "concepts" and not is_joint:
            raise VelaturaError(
                "bad-request",
                "This model reads words only as a part of its caption; choose “As suits the model”.",
            )
        asked = _asked(inputs.prompt, params)
        z0 = model.encode(inputs.image)
        noises = noise.looks(inputs.seeds[0], params.looks, z0)
        sigma = schedule.sigmas(model.training_sigmas, 1, params.noise)[0]

        def after_noise(i: int) -> None:
            context.step(i, params.looks)

        found = _as_concepts if is_joint and params.reading != "attention" else _as_words
        word_maps = found(model, z0, inputs.prompt, asked, sigma, noises, after_noise, params)
        return [
            Mask(word.text, maps.as_mask(map, inputs.size, params.threshold, params.softness))
            for word, map in zip(asked, word_maps, strict=True)
        ]


def _as_words(
    model: LatentDiffusion,
    z0: Tensor,
    caption: str,
    asked: list[Word],
    sigma: float,
    noises: list[Tensor],
    after_noise: Callable[[int], None],
    params: WordMapParameters,
) -> Tensor:
    """The maps [n, h', w'] of the words in the caption."""
    import torch

    from velatura.prompt_to_prompt import maps
    from velatura.prompt_to_prompt.prompt import indices, tokens

    read = tokens(model.tokenized(caption), caption)
    groups = torch.zeros(read.length, len(asked))
    for column, word in enumerate(asked):
        groups[indices(read, (word.start, word.end)), column] = 1.0
    c = model.encode_prompt(caption)
    return maps.word_maps(model, z0, c, groups, sigma, noises, after_noise, params.refine)


def _as_concepts(
    model: LatentDiffusion,
    z0: Tensor,
    caption: str,
    asked: list[Word],
    sigma: float,
    noises: list[Tensor],
    after_noise: Callable[[int], None],
    params: WordMapParameters,
) -> Tensor:
    """The maps [n, h', w'] of the words, each beside the others and the caption's other words."""
    from velatura.prompt_to_prompt.concepts import concept_maps
    from velatura.prompt_to_prompt.prompt import words

    named = [word.text.casefold() for word in asked]
    spans = [(word.start, word.end) for word in asked]
    others = [
        word.text.casefold()
        for word in words(caption)
        if not any(word.start < end and start < word.end for start, end in spans)
    ]
    concepts = list(dict.fromkeys([*named, *others]))
    if len(concepts) == 1:
        concepts.append("")
    maps = concept_maps(model, z0, caption, concepts, sigma, noises, after_noise)
    return maps[[concepts.index(name) for name in named]]


def _asked(prompt: str, params: WordMapParameters) -> list[Word]:
    """The words to select: those that are listed, else every word of the caption."""
    from velatura.prompt_to_prompt.prompt import find, words

    asked = [find(prompt, word.text, word.which) for word in params.words if word.text.strip()]
    asked = asked or words(prompt)
    if not asked:
        raise VelaturaError("empty-prompt", "The caption has no words; describe what the layer shows.")
    return asked
