"""A mask for each word: how bright the source is, to the power of the word's number."""

from velatura.methods import fields
from velatura.methods.base import Inputs, Mask, Method, Parameters
from velatura_protocol.words import find, words


class ShadesParameters(Parameters):
    words: list[fields.WordSettings] = fields.word_settings("Words", "Which to show; all if there is none.")
    context: float = fields.context(0.0)


class Shades(Method):
    id = "shades"
    version = 1
    title = "Shades"
    summary = "Selects what is bright."
    source = "tests"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    result = "mask"
    max_variations = 1
    Parameters = ShadesParameters

    def run(self, inputs, params, context):
        listed = [
            find(inputs.prompt, entry.text, entry.which) for entry in params.words if entry.text.strip()
        ]
        chosen = listed or words(inputs.prompt)
        bright = ((inputs.image[0].mean(0) + 1.0) / 2.0).clamp(0.0, 1.0)
        masks = []
        for i, word in enumerate(chosen, 1):
            masks.append(Mask(word.text, bright**i))
            context.step(i, len(chosen))
        return masks
