"""The picture as it is: a form that has the words of the prompt, and what the source shows."""

from velatura.methods import fields
from velatura.methods.base import Inputs, Method, Parameters


class Weights(fields.WordSettings):
    weight: float = fields.slider(1.0, -2.0, 4.0, 0.1, "Weight", "How much of the word.")
    until: float = fields.slider(1.0, 0.0, 1.0, 0.05, "Keeps its shape", "For how long.")


class WeighedParameters(Parameters):
    source_prompt: str = fields.source_prompt()
    words: list[Weights] = fields.word_settings("Words", "What is made of each.")
    context: float = fields.context(0.0)


class Weighed(Method):
    id = "weighed"
    version = 1
    title = "Weighed words"
    summary = "Changes nothing."
    source = "tests"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    max_variations = 2
    Parameters = WeighedParameters

    def run(self, inputs, params, context):
        context.step(1, 1)
        return inputs.image.expand(len(inputs.seeds), -1, -1, -1)
