"""Blended Latent Diffusion: new content inside a mask, everything else held to the source at every step.

Avrahami, Fried, Lischinski 2023, Blended Latent Diffusion, algorithm 1 and section 4.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import RasterInput

from . import fields, reconstructing
from .base import Compared, Context, Inputs, Method, MethodInputs, Parameters, Stage

if TYPE_CHECKING:
    from torch import Tensor


class BlendedLatentDiffusionParameters(Parameters):
    strength: float = fields.strength(
        0.9,
        "How far the selection may move from what is there. Lower it to let a scribble, or the picture "
        "itself, guide the result.",
    )
    guidance: float = fields.guidance(3.0)
    change: Literal["selection", "rest"] = fields.instead()
    reconstruction: reconstructing.Way = reconstructing.reconstruction()
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    progressive_shrinking: bool = Field(
        False,
        title="Thin selections",
        description="Starts from a widened selection that shrinks to the drawn one. Switch it on where thin "
        "parts of a selection stay as they were.",
    )
    steps: int = fields.steps(16)
    sampler: Literal["dpmpp_2m", "euler"] = Field(
        "dpmpp_2m",
        title="Steps are taken",
        description="Quick steps need about half as many as plain ones.",
        json_schema_extra={**fields.ADVANCED, "x-enum-titles": ["Quickly (DPM-Solver++)", "Plainly (Euler)"]},
    )
    negative_prompt: str = fields.negative_prompt()
    seam: int = reconstructing.seam()
    background: float = reconstructing.background()
    fit_steps: int = reconstructing.fit_steps()
    fit_rate: float = reconstructing.fit_rate()


class BlendedLatentDiffusion(Method):
    id = "blended-latent-diffusion"
    version = 1
    title = "Fill the selection"
    summary = "Paints the prompt into the selection and leaves everything else as it is."
    source = "Avrahami et al. 2023, Blended Latent Diffusion, arXiv:2206.02779, algorithm 1"
    section = "selection"
    inputs = Inputs(
        source="required",
        mask="optional",
        prompt="required",
        rasters=(
            RasterInput(
                "scribble",
                "Scribble",
                "Strokes of the wanted shapes and colours, on a layer of their own; lower Strength to 0.8 or "
                "less, so that they are followed.",
                "picture",
                "optional",
            ),
        ),
    )
    Parameters = BlendedLatentDiffusionParameters

    def check(self, prompt: str, params: BlendedLatentDiffusionParameters) -> None:
        """Raises `bad-request` for a rate at which the decoder's weights diverge."""
        reconstructing.check(params.reconstruction, params.fit_rate)

    def inverts(self, params: BlendedLatentDiffusionParameters) -> bool:
        """Whether the background is replaced."""
        return params.change == "rest"

    def compared_with(self, params: BlendedLatentDiffusionParameters) -> Compared:
        """See `reconstructing`."""
        return reconstructing.compared_with(params.reconstruction)

    def run(self, inputs: MethodInputs, params: BlendedLatentDiffusionParameters, context: Context) -> Tensor:
        """See `Method`. Raises `empty-layer` where the whole scribble lies outside the selection."""
        from velatura.diffusion import blending, denoiser, noise, samplers, schedule

        strokes = inputs.rasters.get("scribble")
        if strokes is not None and not ((strokes[:, 3:] > 0.0) & (inputs.mask > 0.0)).any():
            raise VelaturaError(
                "empty-layer",
                "The scribble lies outside the selection; paint it inside, or select its place.",
            )
        model = context.model
        D = denoiser.guided(model, inputs.prompt, params.negative_prompt, params.guidance)
        sigmas = schedule.sigmas(model.training_sigmas, params.steps, params.strength)

        z_init = model.encode(inputs.image)
        n = noise.standard_normal(inputs.seeds, z_init.shape[1:]).to(z_init)
        m_latent = blending.latent_mask(inputs.mask, (z_init.shape[-2], z_init.shape[-1]))
        masks = blending.shrinking_masks(m_latent, len(sigmas) - 1, params.progressive_shrinking)
        editing = Stage("", reconstructing.share(params.reconstruction, len(inputs.seeds)))

        def after_step(z_fg: Tensor, step: samplers.Step) -> Tensor:
            z_bg = z_init + step.sigma_next * n
            z = blending.blend(z_fg, z_bg, masks[step.i])
            z0 = blending.blend(step.denoised[:1], z_init, masks[step.i])
            context.step(step.i + 1, step.n, lambda: model.decode(z0), stage=editing)
            return z

        z_start = z_init
        if strokes is not None:
            drawn = blending.scribbled(inputs.image, strokes, inputs.mask)
            z_start = blending.blend(model.encode(drawn), z_init, masks[0])
        sampler = samplers.SAMPLERS[params.sampler]
        z0 = sampler(D, z_start + sigmas[0] * n, sigmas, after_step)
        settings = reconstructing.Settings(
            params.reconstruction, params.seam, params.background, params.fit_steps, params.fit_rate
        )
        return reconstructing.reconstructed(z0, inputs, settings, context)
