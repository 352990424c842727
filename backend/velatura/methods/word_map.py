"""Select by word: where the words of a caption are in the layer.

The cross-attention maps of Hertz et al. 2022, section 3, of an existing picture, spread along
self-attention (Wang et al. 2023, eq. 5)."""

from __future__ import annotations

from typing import ClassVar

from velatura_protocol.errors import VelaturaError
from velatura_protocol.words import Word

from . import fields
from .base import Context, Inputs, Mask, Method, MethodInputs, Parameters


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
    context: float = fields.context(1.0)


class WordMap(Method):
    id = "word-map"
    version = 1
    title = "Select by word"
    summary = "Finds where the words of a caption are in the layer."
    source = "Hertz et al. 2022, arXiv:2208.01626, section 3; Wang et al. 2023, arXiv:2309.02773, eq. 5"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    result: ClassVar = "mask"
    max_variations = 1
    Parameters = WordMapParameters

    def check(self, prompt: str, params: WordMapParameters) -> None:
        """Raises `empty-prompt` for a caption without words, `bad-request` for a word that it lacks."""
        _asked(prompt, params)

    def run(self, inputs: MethodInputs, params: WordMapParameters, context: Context) -> list[Mask]:
        import torch

        from velatura.diffusion import noise, schedule
        from velatura.prompt_to_prompt import maps
        from velatura.prompt_to_prompt.prompt import indices, tokens

        model = context.model
        asked = _asked(inputs.prompt, params)
        read = tokens(model.tokenized(inputs.prompt), inputs.prompt)
        groups = torch.zeros(read.length, len(asked))
        for column, word in enumerate(asked):
            groups[indices(read, (word.start, word.end)), column] = 1.0
        z0 = model.encode(inputs.image)
        noises = noise.looks(inputs.seeds[0], params.looks, z0)
        sigma = schedule.sigmas(model.training_sigmas, 1, params.noise)[0]
        word_maps = maps.word_maps(
            model,
            z0,
            model.encode_prompt(inputs.prompt),
            groups,
            sigma,
            noises,
            lambda i: context.step(i, params.looks),
            params.refine,
        )
        return [
            Mask(word.text, maps.as_mask(map, inputs.size, params.threshold, params.softness))
            for word, map in zip(asked, word_maps, strict=True)
        ]


def _asked(prompt: str, params: WordMapParameters) -> list[Word]:
    """The words to select: those that are listed, else every word of the caption."""
    from velatura.prompt_to_prompt.prompt import find, words

    asked = [find(prompt, word.text, word.which) for word in params.words if word.text.strip()]
    asked = asked or words(prompt)
    if not asked:
        raise VelaturaError("empty-prompt", "The caption has no words; describe what the layer shows.")
    return asked
