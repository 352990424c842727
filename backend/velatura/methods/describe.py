"""Describe the layer: a caption for it, proposed by the network that captions pictures for the model."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from velatura_protocol.errors import VelaturaError

from .base import Context, Inputs, Method, MethodInputs, Parameters

_LOOSE_END = re.compile(r"(?:[\s,;:.-]|\s(?:a|an|the|of|with|and|in|on|at|by|to|is|are))+\Z")


class DescribeParameters(Parameters):
    """No parameters."""


class Describe(Method):
    id = "describe"
    version = 1
    title = "Describe the layer"
    summary = "Says what the layer shows, as a caption to begin with."
    source = "Li et al. 2022, BLIP, arXiv:2201.12086; or the reading of the judge in the words of its world"
    inputs = Inputs(source="required", mask="none", prompt="none")
    result: ClassVar = "text"
    needs: ClassVar = "captioner"
    generator: ClassVar = ""
    max_variations = 1
    Parameters = DescribeParameters

    def run(self, inputs: MethodInputs, params: DescribeParameters, context: Context) -> list[str]:
        picture = ((inputs.image + 1.0) / 2.0).clamp(0.0, 1.0)
        captions = context.captioner.captions(picture, context.step)
        texts = [text for text in (fitting(text, context.generator.excess) for text in captions) if text]
        if not texts:
            raise VelaturaError(
                "unknown-model", "The captioner has no words for this layer; describe it yourself."
            )
        return texts


def fitting(text: str, excess: Callable[[str], int]) -> str:
    """The text, cut to the words that the model reads, since a longer prompt would be refused.

    excess: gives the number of tokens by which a text is too long for the model, 0 if it is not.
    """
    while text and excess(text):
        text = _LOOSE_END.sub("", text.rpartition(" ")[0])
    return text
