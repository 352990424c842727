"""Follow an instruction: models that are shown the layer and told what to do with it.

FLUX.1 Kontext (Black Forest Labs 2025, arXiv:2506.15742), FLUX.2, Qwen-Image-Edit (arXiv:2508.02324) and
InstructPix2Pix (Brooks et al. 2023). They paint the whole picture anew, so they move it, and change a little
everywhere. Here the result is registered on the layer (`velatura.reconstruction.registration`), and where no
change is visible the layer keeps its own pixels (`velatura.flow.change`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from velatura.models.traits import INSTRUCTS
from velatura_protocol.errors import VelaturaError

from . import fields
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.diffusion.network import LatentDiffusion
    from velatura.reconstruction.registration import Registration

DRAFT_STEPS = 8
OWN = 4.0
"""The most, in Lab, of a restless difference that counts as the model's own and not as a change."""


class Picture(Parameters):
    picture: str | None = fields.raster(
        "reference", "Picture", "A layer that the instruction speaks of, as “the hat of picture 2”."
    )


class InstructParameters(Parameters):
    strength: float = fields.slider(
        100.0,
        0.0,
        150.0,
        5.0,
        "How much",
        "How far the instruction is followed, in per cent: at 0 nothing changes, 100 is the model's own way.",
    )
    guidance: float = fields.guidance(4.0)
    keep: bool = Field(
        True,
        title="Leave the rest alone",
        description="Where nothing visible changes, the layer keeps its own pixels.",
    )
    pictures: list[Picture] = fields.group(
        "Further pictures",
        "Pictures beside the layer, for models that look at several; the layer is the first.",
        9,
    )
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    in_place: bool = Field(
        True,
        title="Put back in place",
        description="These models often move or zoom the picture a little; this measures it on the unchanged "
        "parts and undoes it.",
        json_schema_extra=fields.ADVANCED,
    )
    likeness: float = fields.slider(
        1.5,
        1.0,
        5.0,
        0.1,
        "Likeness",
        "How closely the result stays like the layer; only InstructPix2Pix has this setting.",
        advanced=True,
    )
    steps: int = fields.steps(28)
    haste: float = fields.haste()
    negative_prompt: str = fields.negative_prompt()


class Instruct(Method):
    id = "instruct"
    version = 1
    title = "Follow an instruction"
    summary = "Changes the layer as you tell it, such as “make the hat red”, and leaves the rest in place."
    source = (
        "Brooks et al. 2023, arXiv:2211.09800 (InstructPix2Pix); Black Forest Labs 2025, arXiv:2506.15742 "
        "(FLUX.1 Kontext); Lucas & Kanade 1981 (registration)"
    )
    section = "words"
    place = 90
    inputs = Inputs(source="required", mask="optional", prompt="required")
    trait = INSTRUCTS
    Parameters = InstructParameters

    def wanted(self, prompt: str, params: InstructParameters) -> str:
        """An instruction describes no picture."""
        return ""

    def run(self, inputs: MethodInputs, params: InstructParameters, context: Context) -> Tensor:
        from velatura.diffusion import noise, samplers, schedule
        from velatura.diffusion.instructed import instructed

        model = _shown(inputs, params, context.model)
        if params.strength == 0.0:
            context.step(1, 1)
            return context.reconstruction.expand(len(inputs.seeds), -1, -1, -1)
        steps = min(params.steps, DRAFT_STEPS) if context.is_draft else params.steps
        sigmas = schedule.sigmas(model.training_sigmas, steps)
        D = instructed(model, inputs.prompt, params.negative_prompt, params.guidance, params.strength / 100.0)
        height, width = (side // model.factor for side in inputs.size)
        n = noise.standard_normal(inputs.seeds, (model.latent_channels, height, width)).to(model.device)

        def after_step(x: Tensor, step: samplers.Step) -> Tensor:
            context.step(step.i + 1, step.n, lambda: model.decode(step.denoised[:1]))
            return x

        pictures = context.decode(samplers.euler(D, sigmas[0] * n, sigmas, after_step))
        if params.in_place:
            pictures = _in_place(pictures, context)
        if not params.keep:
            return pictures
        from velatura.flow import change

        return change.kept(pictures, context.reconstruction, max(1, model.factor // 4), OWN)


def _shown(inputs: MethodInputs, params: InstructParameters, model: LatentDiffusion) -> LatentDiffusion:
    """The model that sees the layer and the further pictures. Raises `bad-request` for too many of them, and
    `unknown-model` for a model that sees none."""
    names = [entry.picture for entry in params.pictures if entry.picture is not None]
    further = [inputs.rasters[name][:, :3] for name in names]
    if 0 < model.most_references <= len(further):
        beside = model.most_references - 1
        most = "no picture" if beside == 0 else "one picture" if beside == 1 else f"{beside} pictures"
        raise VelaturaError(
            "bad-request",
            f"{model.id!r} looks at {most} beside the layer; remove some of the further pictures.",
        )
    shown = model.referring([inputs.image, *further])
    return shown if shown.picture_guidance is None else shown.at_picture_guidance(params.likeness)


def _in_place(pictures: Tensor, context: Context) -> Tensor:
    """The pictures put back onto the layer; the result's note says how far they had moved."""
    import torch

    from velatura.reconstruction.registration import placed, register

    found = [register(picture, context.reconstruction) for picture in pictures.split(1)]
    context.remark(_told(found, (pictures.shape[-2], pictures.shape[-1])))
    return torch.cat(
        [
            picture if one is None else placed(picture, one.placement)
            for picture, one in zip(pictures.split(1), found, strict=True)
        ]
    )


def _told(found: list[Registration | None], size: tuple[int, int]) -> str:
    """A sentence on the moves, in pixels of the model's picture."""
    from velatura.reconstruction.registration import FELT

    known = [one for one in found if one is not None]
    if not known:
        return "Too little stayed the same to see whether the model moved the picture."
    left = max(one.residual for one in known)
    fits = f"what did not change lies within {left:.1f} pixels of the layer." if left >= 0.05 else ""
    fits = fits or "what did not change lies on the layer to a twentieth of a pixel."
    farthest = max(known, key=lambda one: one.placement.move(*size))
    if farthest.placement.move(*size) < FELT:
        return f"The model did not move the picture; {fits}"
    (y, x), zoom = farthest.placement.shift, 100.0 * (farthest.placement.scale - 1.0)
    many = "by up to" if len(known) > 1 else "by"
    return (
        f"The model had moved the picture {many} {(y**2 + x**2) ** 0.5:.1f} pixels and zoomed it by"
        f" {zoom:+.1f} %, which is undone; {fits}"
    )
