"""Select what is named: CLIPSeg finds the things that a prompt names.

Lueddecke & Ecker 2022, Image segmentation using text and image prompts."""

from __future__ import annotations

import re
from typing import ClassVar

from velatura.pixels.threshold import soft_threshold
from velatura_protocol.errors import VelaturaError

from . import fields
from .base import Context, Inputs, Mask, Method, MethodInputs, Parameters

MOST = 16  # phrases of one prompt


class ClipSegMaskParameters(Parameters):
    threshold: float = fields.slider(
        0.4,
        0.0,
        1.0,
        0.05,
        "Threshold",
        "How sure it must be that a thing is somewhere; lower reaches wider.",
    )
    softness: float = fields.softness()
    context: float = fields.context(1.0)


class ClipSegMask(Method):
    id = "clipseg-mask"
    version = 1
    title = "Select what is named"
    summary = "Finds the things that the prompt names, with commas between them."
    source = "Lüddecke & Ecker 2022, arXiv:2112.10003"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    result: ClassVar = "mask"
    needs: ClassVar = "segmenter"
    generator: ClassVar = ""
    max_variations = 1
    Parameters = ClipSegMaskParameters

    def check(self, prompt: str, params: ClipSegMaskParameters) -> None:
        """Raises `empty-prompt` if the prompt names nothing, `bad-request` if it names too much."""
        named = phrases(prompt)
        if not named:
            raise VelaturaError("empty-prompt", "The prompt names nothing; say what to select.")
        if len(named) > MOST:
            raise VelaturaError(
                "bad-request", f"The prompt names {len(named)} things; name {MOST} at most at once."
            )

    def run(self, inputs: MethodInputs, params: ClipSegMaskParameters, context: Context) -> list[Mask]:
        named, segmenter = phrases(inputs.prompt), context.segmenter
        for phrase in named:
            if not segmenter.reads(phrase):
                raise VelaturaError(
                    "prompt-too-long", f"{phrase[:40]!r} … is too long for the segmenter; name it shorter."
                )
        picture = ((inputs.image[0] + 1.0) / 2.0).clamp(0.0, 1.0)
        maps = segmenter.find(picture, named)
        context.step(1, 1)
        return [
            Mask(phrase, soft_threshold(map, params.threshold, params.softness))
            for phrase, map in zip(named, maps, strict=True)
        ]


def phrases(prompt: str) -> list[str]:
    """The phrases of a prompt, between commas and new lines, each once, as typed."""
    named = (" ".join(part.split()) for part in re.split(r"[,\n]", prompt))
    return list(dict.fromkeys(phrase for phrase in named if phrase))
