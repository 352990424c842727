"""A method for models of eigenpictures: more of what makes the picture differ from the mean."""

from velatura.methods import fields
from velatura.methods.base import Inputs, Method, Parameters

from .eigenpictures import KIND


class ExaggerateParameters(Parameters):
    amount: float = fields.slider(1.5, 0.0, 4.0, 0.1, "Amount", "How far it goes from the mean.")
    context: float = fields.context(0.0)


class Exaggerate(Method):
    id = "exaggerate"
    version = 1
    title = "Exaggerate"
    summary = "Shows more of what is special about the picture."
    source = "Turk & Pentland 1991"
    inputs = Inputs(source="required", mask="optional", prompt="optional")
    generator = KIND
    max_variations = 3
    Parameters = ExaggerateParameters

    def run(self, inputs, params, context):
        import torch

        w = params.amount * context.generator.encode(inputs.image)
        drawn = [torch.randn(w.shape, generator=torch.Generator().manual_seed(s)) for s in inputs.seeds]
        context.step(1, 1)
        return context.decode(w + 0.1 * torch.cat(drawn))
