"""diffusers' own pipelines on the networks that are measured, from conditions and noise to latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
from diffusers.pipelines.qwenimage.pipeline_qwenimage import QwenImagePipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.pipelines.z_image.pipeline_z_image import ZImagePipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from velatura.models.families.joint import JointModel, pack, unpack
from velatura.models.latent import LatentModel

from .networks import CAPTION, LEVELS, NEGATIVE, Shape

_CLIP_PARTS: dict[str, Any] = {"text_encoder": None, "tokenizer": None}
_BOTH_PARTS: dict[str, Any] = {**_CLIP_PARTS, "text_encoder_2": None, "tokenizer_2": None}


def sampling(shape: Shape, model: LatentModel, n: Tensor, steps: int) -> Callable[[], Tensor]:
    """A run of the family's pipeline, which gives the clean latents [1, C, h, w].

    Args:
        shape: of the model.
        model: with the networks.
        n: the noise [1, C, h, w].
        steps: of the run.
    """
    run = _RUNS[shape.family](model, n, shape.guidance)
    height, width = (side * model.factor for side in n.shape[-2:])

    def sample() -> Tensor:
        return run(height=height, width=width, num_inference_steps=steps, output_type="latent")

    return sample


def _unet(model: Any, n: Tensor, scale: float) -> Callable[..., Tensor]:
    parts: dict[str, Any] = {"vae": model.autoencoder, "unet": model.unet}
    scheduler: Any = DDIMScheduler(**LEVELS, clip_sample=False, timestep_spacing="trailing")
    absent: Any = None
    if model.id == "sdxl":
        pipeline: Any = StableDiffusionXLPipeline(**parts, **_BOTH_PARTS, scheduler=scheduler)
    else:
        pipeline = StableDiffusionPipeline(
            **parts,
            **_CLIP_PARTS,
            scheduler=scheduler,
            safety_checker=absent,
            feature_extractor=absent,
            requires_safety_checker=False,
        )
    return _run(pipeline, **_embeds(model), guidance_scale=scale, latents=n.to(model.dtype))


def _flux1(model: Any, n: Tensor, _: float) -> Callable[..., Tensor]:
    pipeline = FluxPipeline(**_parts(model), **_BOTH_PARTS)
    embeds = {name: value for name, value in _embeds(model).items() if not name.startswith("negative")}
    run = _run(pipeline, **embeds, guidance_scale=model.guidance, latents=pack(n).to(model.dtype))
    return lambda **more: unpack(run(**more), n.shape[-2], n.shape[-1])


def _klein(model: Any, n: Tensor, scale: float) -> Callable[..., Tensor]:
    pipeline = Flux2KleinPipeline(**_parts(model), **_CLIP_PARTS)
    return _run(pipeline, **_embeds(model), guidance_scale=scale, latents=n.to(model.dtype))


def _z_image(model: Any, n: Tensor, scale: float) -> Callable[..., Tensor]:
    """Its pipeline counts guidance from 0, and takes the prompts as lists."""
    embeds = {name: list(value) for name, value in _embeds(model).items()}
    return _run(
        ZImagePipeline(**_parts(model), **_CLIP_PARTS), **embeds, guidance_scale=scale - 1.0, latents=n
    )


def _qwen_image(model: Any, n: Tensor, scale: float) -> Callable[..., Tensor]:
    embeds = _embeds(model)
    masks = {f"{name}_mask": value.new_ones(value.shape[:2]).long() for name, value in embeds.items()}
    pipeline = QwenImagePipeline(**_parts(model), **_CLIP_PARTS)
    run = _run(pipeline, **embeds, **masks, true_cfg_scale=scale, latents=pack(n).to(model.dtype))
    return lambda **more: unpack(run(**more), n.shape[-2], n.shape[-1])


def _parts(model: JointModel) -> dict[str, Any]:
    scheduler = FlowMatchEulerDiscreteScheduler(**model.scheduler)
    return {"scheduler": scheduler, "vae": model.autoencoder, "transformer": model.transformer}


def _embeds(model: LatentModel) -> dict[str, Tensor]:
    embeds: dict[str, Tensor] = {}
    for prefix, prompt in (("", CAPTION), ("negative_", NEGATIVE)):
        condition = model.encode_prompt(prompt)
        embeds[f"{prefix}prompt_embeds"] = condition.states.to(model.dtype)
        if "pooled" in condition.parts:
            embeds[f"{prefix}pooled_prompt_embeds"] = condition.parts["pooled"].to(model.dtype)
    return embeds


def _run(pipeline: Any, **arguments: Any) -> Callable[..., Tensor]:
    pipeline.set_progress_bar_config(disable=True)
    return lambda **more: pipeline(**arguments, **more).images


_RUNS: dict[str, Callable[[Any, Tensor, float], Callable[..., Tensor]]] = {
    "sd": _unet,
    "sdxl": _unet,
    "flux1": _flux1,
    "flux2": _klein,
    "z-image": _z_image,
    "qwen-image": _qwen_image,
}
