"""Compose: words by attention, concepts by guidance and a selection by blending, in one run.

The terms are those of Prompt-to-Prompt (Hertz et al. 2022), SEGA (Brack et al. 2023) and Blended Latent
Diffusion (Avrahami et al. 2023), and the code is that of their own methods. They act at different places of a
step: words change the network's attention, concepts the guided prediction, the selection the latents after
the step. So no term needs to know of another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import fields, flowing, prompt_to_prompt, steering
from .base import Context, Inputs, Method, MethodInputs

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.semantic.guidance import Semantic


class ComposeParameters(prompt_to_prompt.PromptToPromptParameters):
    local_blend: bool = Field(
        True,
        title="Only where they are",
        description="Leaves the picture as it is where neither the changed words nor the concepts are.",
    )
    threshold: float = fields.slider(
        0.45,
        0.0,
        0.95,  # nothing is above 1
        0.05,
        "Threshold",
        "How sure it must be that a word is somewhere; lower reaches wider.",
        advanced=True,
    )
    concepts: list[steering.ConceptSettings] = steering.concepts()
    words_of_concepts: steering.Words = steering.words_of_concepts()
    only_changes: bool = flowing.only_changes(advanced=True)
    momentum: float = steering.momentum()
    momentum_kept: float = steering.momentum_kept()


class Compose(Method):
    id = "compose"
    version = 1
    title = "Words and concepts together"
    section = "several"
    summary = "Changes words, and gives more or less of several things, in one edit."
    source = (
        "Hertz et al. 2022, arXiv:2208.01626, algorithm 1; Brack et al. 2023, arXiv:2301.12247, eq. 3 to 9; "
        "Avrahami et al. 2023, arXiv:2206.02779, algorithm 1"
    )
    inputs = Inputs(source="required", mask="optional", prompt="optional")
    Parameters = ComposeParameters

    def varies(self, params: ComposeParameters) -> bool:
        """Whether the seed matters, as for Prompt-to-Prompt."""
        return prompt_to_prompt.varies(params)

    def check(self, prompt: str, params: ComposeParameters) -> None:
        """Raises `empty-prompt` without a caption, `bad-request` for a word that the prompt lacks, a concept
        without words, one that ends before it begins, or nothing to do."""
        caption = fields.caption(prompt, params.start, params.source_prompt)
        prompt_to_prompt.check(prompt or caption, params)
        steering.check(caption, params.concepts)
        if not (params.concepts or params.words or prompt.split() not in ([], caption.split())):
            raise VelaturaError("bad-request", "Change a word of the caption, or add a concept.")

    def wanted(self, prompt: str, params: ComposeParameters) -> str:
        """The prompt, or the caption that the strongest concept leads to."""
        caption = fields.caption(prompt, params.start, params.source_prompt)
        changes = prompt.split() not in ([], caption.split())
        return prompt if changes else flowing.strongest(caption, params.concepts)

    def run(self, inputs: MethodInputs, params: ComposeParameters, context: Context) -> Tensor:
        from velatura.flow import change

        caption = fields.caption(inputs.prompt, params.start, params.source_prompt)
        inputs = replace(inputs, prompt=inputs.prompt or caption)

        def further(n: int) -> prompt_to_prompt.Further:
            scales, model = steering.scales(params), context.model
            m = prompt_to_prompt.latent_mask(inputs, model)
            semantic = steering.semantic(model, params, scales, inputs.prompt, inputs.rasters, m, n)
            stays = prompt_to_prompt.settings(params).local_blend
            return prompt_to_prompt.Further(
                lambda i: [semantic.at(i)], (lambda: _reach(semantic)) if stays else None
            )

        acts = any(concept.strength for concept in params.concepts)
        pictures = prompt_to_prompt.edited(
            inputs, params, context, further if acts else None, may_stay=bool(params.concepts)
        )
        if params.start == "new" or not params.only_changes:
            return pictures
        return change.kept(pictures, context.reconstruction, max(1, context.model.factor // 4))


def _reach(semantic: Semantic) -> Tensor:
    """Where the concepts have acted in the last step, and the cells around, bool [B, 1, h, w]."""
    from velatura.diffusion.blending import dilate

    guidance = semantic.guidance
    assert guidance is not None  # a step has been taken
    return dilate(guidance.abs().amax(1, keepdim=True), 3) > 0.0
