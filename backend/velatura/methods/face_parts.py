"""The parts of a face as a paint layer of flat colours, to be repainted and given to `editgan`.

Ling et al. 2021, EditGAN, section 3.1: a branch on the generator's features labels each pixel of its picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from velatura_protocol.results import MAX_NOTE, MAX_TITLE, one_line

from . import facing
from .base import Compared, Context, Inputs, Legend, Method, MethodInputs

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.generators.styles import StyleGenerator

HOW = "Paint with these colours on this layer, then use “Repaint the parts of a face” on the picture."


class FaceParts(facing.OnFaces, Method):
    id = "face-parts"
    version = 2
    title = "Show the parts of a face"
    summary = "Paints hair, face, hat and so on as a layer of flat colours, ready to be repainted."
    source = "Ling et al. 2021, EditGAN, arXiv:2111.03186, section 3.1; Zhang et al. 2021, arXiv:2104.06490"
    inputs = Inputs(source="required", mask="optional", prompt="none")
    drafts = False
    flat = True
    place = 40
    Parameters = facing.FaceParameters

    def compared_with(self, params: facing.FaceParameters) -> Compared:
        """Flat colours have none of the layer's detail."""
        return "nothing"

    def legend(self, context: Context) -> Legend:
        """Names the parts with their colours."""
        from velatura.stylespace import palette

        words = palette.legend(cast("StyleGenerator", context.generator).parts)
        title = words if len(words) <= MAX_TITLE else words[:MAX_TITLE].rpartition(",")[0] + ", …"
        return Legend(one_line(title, MAX_TITLE), one_line(f"{words[0].upper()}{words[1:]}. {HOW}", MAX_NOTE))

    def run(self, inputs: MethodInputs, params: facing.FaceParameters, context: Context) -> Tensor:
        import torch

        from velatura.stylespace import editgan, painted

        face = facing.face(inputs, params, context)
        y = painted.in_picture(editgan.likelihoods(face.model, face.ws), face.frame, inputs.size)
        colours = painted.picture_of(y.clamp(min=0), face.model.parts)
        context.step(1, 1)
        return torch.cat([colours, (y >= 0)[:, None].to(colours)], 1)
