"""A third raster, a reference, and a group whose entries have a raster each. What it paints is plain to see.

Where the segmentation is painted, the picture has its colours, a quarter of them; each concept then turns the
picture within its mask towards white (or black, where its amount is below 0). The style's mean colour is
mixed in where it is given.
"""

from velatura.methods import fields
from velatura.methods.base import Inputs, Method, Parameters
from velatura_protocol.inputs import RasterInput


class Concept(Parameters):
    text: str = fields.text("What", "What should be there.")
    amount: float = fields.slider(1.0, -1.0, 1.0, 0.1, "How much", "Above 0 brighter, below 0 darker.")
    where: str | None = fields.raster("mask", "Where", "Where it should be; everywhere if nothing is chosen.")


class ArrangeParameters(Parameters):
    concepts: list[Concept] = fields.group("Concepts", "What should be where.", 4)
    context: float = fields.context(0.0)


class Arrange(Method):
    id = "arrange"
    version = 1
    title = "Arrange"
    summary = "Paints what a segmentation shows, and each concept where it is wanted."
    source = "tests"
    inputs = Inputs(
        source="required",
        mask="optional",
        prompt="optional",
        rasters=(
            RasterInput("segments", "Segments", "A layer with a colour for each part.", "labels"),
            RasterInput("style", "Style", "A picture whose colours are taken.", "reference", "optional"),
        ),
    )
    max_variations = 2
    Parameters = ArrangeParameters

    def run(self, inputs, params, context):
        import torch

        labels = inputs.rasters["segments"]
        colours = torch.cat([labels >> 16, labels >> 8 & 255, labels & 255], dim=1) / 127.5 - 1.0
        picture = torch.where(labels >= 0, inputs.image * 0.75 + colours * 0.25, inputs.image)
        for concept in params.concepts:
            mask = torch.ones_like(inputs.mask) if concept.where is None else inputs.rasters[concept.where]
            end = 1.0 if concept.amount > 0 else -1.0
            picture = torch.lerp(picture, torch.full_like(picture, end), mask * abs(concept.amount))
        if "style" in inputs.rasters:
            picture = (picture + inputs.rasters["style"][:, :3].mean((2, 3), keepdim=True)) / 2.0
        context.step(1, 1)
        return picture.expand(len(inputs.seeds), -1, -1, -1)
