"""Select what is named: a segmenter finds the things that a prompt names.

Lueddecke & Ecker 2022, Image segmentation using text and image prompts; Carion et al. 2025, SAM 3: Segment
anything with concepts."""

from __future__ import annotations

from typing import ClassVar

from velatura.pixels.threshold import soft_threshold

from . import fields, naming
from .base import Context, Inputs, Mask, Method, MethodInputs, Parameters


class ClipSegMaskParameters(Parameters):
    threshold: float = fields.certainty()
    softness: float = fields.softness()
    context: float = fields.context(1.0)


class ClipSegMask(Method):
    id = "clipseg-mask"
    version = 1
    title = "Select what is named"
    summary = "Finds the things that the prompt names, with commas between them."
    source = "Lüddecke & Ecker 2022, CLIPSeg, arXiv:2112.10003; Carion et al. 2025, arXiv:2511.16719"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    result: ClassVar = "mask"
    needs: ClassVar = "segmenter"
    reads_prompt: ClassVar = "segmenter"
    generator: ClassVar = ""
    max_variations = 1
    Parameters = ClipSegMaskParameters

    def check(self, prompt: str, params: ClipSegMaskParameters) -> None:
        """Raises `empty-prompt` if the prompt names nothing, `bad-request` if it names too much."""
        naming.check_phrases(prompt, "The prompt", "say what to select")

    def run(self, inputs: MethodInputs, params: ClipSegMaskParameters, context: Context) -> list[Mask]:
        named = naming.phrases(inputs.prompt)
        maps = naming.find(context, inputs.image, named)
        context.step(1, 1)
        return [
            Mask(phrase, soft_threshold(map, params.threshold, params.softness))
            for phrase, map in zip(named, maps, strict=True)
        ]
