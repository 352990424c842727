"""Replace what is named: a segmenter finds it, and Blended Latent Diffusion paints the prompt in its place.

Lueddecke & Ecker 2022, Image segmentation using text and image prompts; Carion et al. 2025, SAM 3: Segment
anything with concepts; Avrahami et al. 2023, Blended Latent Diffusion, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from velatura.pixels.threshold import selects, soft_threshold
from velatura_protocol.errors import VelaturaError

from . import fields, naming
from .base import WHOLE, Context, Inputs, Method, MethodInputs, Parameters, Stage
from .blended_latent_diffusion import BlendedLatentDiffusion as _Painter
from .blended_latent_diffusion import BlendedLatentDiffusionParameters

if TYPE_CHECKING:
    from torch import Tensor


class ReplaceNamedParameters(Parameters):
    name: str = fields.thing("Replace", "What to replace, as you would call it; several with commas between.")
    strength: float = fields.strength(
        0.9, "How far it may move from what is there. Lower it to keep its shape or its colours."
    )
    threshold: float = fields.certainty()
    margin: float = fields.slider(
        0.03,
        0.0,
        0.2,
        0.01,
        "Margin",
        "How far beyond the found thing it paints, as a share of the picture; more where the new thing is "
        "larger.",
    )
    softness: float = fields.softness()
    guidance: float = fields.guidance(3.0)
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    steps: int = fields.steps(16)
    negative_prompt: str = fields.negative_prompt()


class ReplaceNamed(Method):
    id = "replace-named"
    version = 1
    title = "Replace what is named"
    section = "words"
    summary = "Finds a thing by its name and paints the prompt in its place; no selection is needed."
    source = (
        "Lüddecke & Ecker 2022, CLIPSeg, arXiv:2112.10003; "
        "Avrahami et al. 2023, arXiv:2206.02779, algorithm 1"
    )
    inputs = Inputs(source="required", mask="optional", prompt="required")
    needs: ClassVar = "segmenter"
    Parameters = ReplaceNamedParameters

    def check(self, prompt: str, params: ReplaceNamedParameters) -> None:
        """Raises `empty-prompt` if nothing is named, `bad-request` if too much is."""
        naming.check_phrases(params.name, "“Replace”", "say there what to replace")

    def run(self, inputs: MethodInputs, params: ReplaceNamedParameters, context: Context) -> Tensor:
        import torch

        named = naming.phrases(params.name)
        map = naming.find(context, inputs.image, named).amax(0)[None, None]
        found = naming.grown(soft_threshold(map, params.threshold, params.softness), params.margin)
        if not selects(found, inputs.mask):
            raise VelaturaError(
                "empty-mask",
                f"{', '.join(named)[:80]!r} was not found here; call it something else, lower “Threshold”, or"
                " select it and paint there instead.",
            )
        settings = params.model_dump(include=set(BlendedLatentDiffusionParameters.model_fields))
        paint = BlendedLatentDiffusionParameters(**settings)
        within = cast(Context, _Within(context, found))
        pictures = _Painter().run(replace(inputs, mask=found * inputs.mask), paint, within)
        return torch.cat([pictures, found.expand(len(pictures), -1, -1, -1)], dim=1)


class _Within:
    """The context of a run whose previews have an opacity."""

    def __init__(self, context: Context, opacity: Tensor) -> None:
        self._context, self._opacity = context, opacity

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def step(
        self, i: int, n: int, preview: Callable[[], Tensor] | None = None, *, stage: Stage = WHOLE
    ) -> None:
        """See `Context`."""
        import torch

        def within(shown: Callable[[], Tensor]) -> Callable[[], Tensor]:
            return lambda: torch.cat([shown(), self._opacity], dim=1)

        self._context.step(i, n, preview and within(preview), stage=stage)
