"""DiffEdit: finds where the prompt and a caption of the layer disagree, and repaints only there.

Couairon et al. 2023, DiffEdit: Diffusion-based semantic image editing with mask guidance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velatura.pixels.threshold import selects
from velatura_protocol.errors import VelaturaError

from . import fields
from .base import Context, Inputs, Method, MethodInputs, Parameters, Stage
from .differing import Differing

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.inversion.trajectory import Trajectory

_NOWHERE = (
    "The captions do not disagree enough in the selection; select more of the layer, lower “Threshold”, or "
    "change more words."
)
_COMPARING, _READING = Stage("Comparing the captions", 0.3), Stage("Reading the layer", 0.25)


class DiffEditParameters(Parameters):
    source_prompt: str = fields.source_prompt()
    strength: float = fields.strength(0.8, "How far the found part may move from what is there.")
    threshold: float = fields.slider(
        0.3, 0.0, 1.0, 0.05, "Threshold", "How strongly the captions must disagree; lower reaches wider."
    )
    softness: float = fields.softness()
    guidance: float = fields.guidance(3.0)
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    noise: float = fields.slider(
        0.5,
        0.05,
        0.95,
        0.05,
        "Noise",
        "The share of noise at which the captions are compared.",
        advanced=True,
    )
    looks: int = fields.whole(
        10, 1, 32, "Looks", "How often it looks, each time with other noise.", advanced=True
    )
    steps: int = fields.steps(25)
    negative_prompt: str = fields.negative_prompt()


class DiffEdit(Method):
    id = "diffedit"
    version = 1
    title = "Find the place and repaint"
    section = "words"
    summary = "Finds where the prompt is not true of the layer yet, and repaints only that."
    source = "Couairon et al. 2023, DiffEdit, arXiv:2210.11427, section 3.2"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    Parameters = DiffEditParameters

    def check(self, prompt: str, params: DiffEditParameters) -> None:
        """Raises `empty-prompt` without a caption of the layer."""
        fields.shown_now(params.source_prompt)

    def run(self, inputs: MethodInputs, params: DiffEditParameters, context: Context) -> Tensor:
        import torch

        from velatura.cache.keys import key_of
        from velatura.diffusion import blending, denoiser, samplers, schedule
        from velatura.inversion import ddim, masked
        from velatura.prompt_to_prompt.maps import as_mask

        model = context.model
        differing = Differing(inputs.prompt, params.source_prompt, params.noise, params.looks)
        z0 = model.encode(inputs.image)
        maps = differing.maps(context, z0, inputs.seeds, _COMPARING)
        cut = params.threshold, params.softness
        found = torch.stack([as_mask(map, inputs.size, *cut) for map in maps])[:, None]
        within = found * inputs.mask
        if not selects(found, inputs.mask):
            raise VelaturaError("empty-mask", _NOWHERE)
        sigmas = schedule.sigmas(model.training_sigmas, params.steps, params.strength)

        def make(known: list[Any]) -> Trajectory:
            c = model.encode_prompt("")
            return ddim.direct(model, z0, c, sigmas, lambda i, n: context.step(i, n, stage=_READING), known)

        trajectory = context.kept(key_of(model, diffedit=z0, sigmas=sigmas), make, on_disk=True)
        latent = z0.shape[-2], z0.shape[-1]
        m = torch.cat([blending.latent_mask(one, latent) for one in within.split(1)])
        D = denoiser.guided(model, inputs.prompt, params.negative_prompt, params.guidance)

        def after_step(y: Tensor, step: samplers.Step) -> Tensor:
            def preview() -> Tensor:
                z = blending.blend(step.denoised[:1], z0, m[:1])
                return torch.cat([model.decode(z), found[:1]], dim=1)

            context.step(step.i + 1, step.n, preview)
            return y

        pictures = context.decode(masked.decode(D, trajectory, m, after_step))
        return torch.cat([pictures, found], dim=1)
