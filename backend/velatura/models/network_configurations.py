"""Recognises networks that denoise by their configurations in diffusers' folders. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .traits import (
    CONTROL,
    EMBEDDED_GUIDANCE,
    FEW_STEPS,
    INPAINTING,
    INSTRUCTS,
    NO_GUIDANCE,
    Contents,
    Part,
    few_steps,
    has_word,
    network,
)


def number(value: object) -> int:
    """A positive whole number in a configuration; 0 for anything else."""
    return value if type(value) is int and value > 0 else 0


def _unet(config: Mapping[str, Any], names: str) -> Contents | None:
    channels, out = number(config.get("in_channels")) or 4, number(config.get("out_channels")) or 4
    traits = set[str]()
    if channels != out:
        traits |= {INSTRUCTS if channels == 2 * out else INPAINTING}
    if config.get("time_cond_proj_dim") is not None:
        traits |= {EMBEDDED_GUIDANCE, FEW_STEPS}
    context = number(config.get("cross_attention_dim"))
    side = config.get("sample_size")
    side = min(side) if isinstance(side, list) and side and all(map(number, side)) else number(side)
    if config.get("encoder_hid_dim_type") == "image_proj" and config.get("addition_embed_type") == "image":
        return _kandinsky2(config)
    if config.get("encoder_hid_dim_type") is not None:
        return None  # Kolors and others, whose text passes through a further layer
    if config.get("addition_embed_type") == "text_time":
        added = number(config.get("projection_class_embeddings_input_dim"))
        wide = added - 6 * (number(config.get("addition_time_embed_dim")) or 256)
        if not 0 < wide < context:
            return None  # the refiner
        wants = {
            "unet": Part("sdxl"),
            "vae": Part("vae", out, "sdxl"),
            "text_encoder": Part("clip", context - wide),
        }
        wants["text_encoder_2"] = Part("clip", wide)
        return network("sdxl", "a Stable Diffusion XL", wants, traits, "", 8 * side or 1024)
    if config.get("addition_embed_type") or config.get("class_embed_type"):
        return None
    wants = {"unet": Part("sd"), "vae": Part("vae", out, "sd"), "text_encoder": Part("clip", context)}
    return network(
        "sd", f"a Stable Diffusion {2 if context == 1024 else 1}", wants, traits, "", 8 * side or 512
    )


def _kandinsky2(config: Mapping[str, Any]) -> Contents | None:
    out, width = number(config.get("out_channels")) // 2, number(config.get("encoder_hid_dim"))
    further = number(config.get("in_channels")) - out
    if further not in (0, out + 1):
        return None  # the one that draws after maps of depth
    wants = {
        "unet": Part("kandinsky2"),
        "movq": Part("vae", out, "kandinsky2"),
        "prior": Part("prior", width),
    }
    wants |= {"text_encoder": Part("clip", width), "image_encoder": Part("clip-vision", width)}
    traits = {INPAINTING} if further else set[str]()
    side = 8 * number(config.get("sample_size")) or 512
    return network("kandinsky2", "a Kandinsky 2.2", wants, traits, "", side)


def _sd3(config: Mapping[str, Any], names: str) -> Contents:
    clips = (768, 1280) if config.get("pooled_projection_dim") == 768 + 1280 else (0, 0)
    wants = {
        "vae": Part("vae", number(config.get("in_channels")), "sd3"),
        "text_encoder": Part("clip", clips[0]),
    }
    wants["text_encoder_2"] = Part("clip", clips[1])
    wants["text_encoder_3"] = Part("t5", number(config.get("joint_attention_dim")))
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(names) else set[str]()
    side = 8 * number(config.get("sample_size"))
    return network("sd3", "a Stable Diffusion 3", wants, traits, "flow", side or 1024)


def _flux1(config: Mapping[str, Any], names: str) -> Contents:
    channels = number(config.get("in_channels"))
    out = number(config.get("out_channels")) or channels
    embedded = config.get("guidance_embeds") is True
    traits = {EMBEDDED_GUIDANCE} if embedded else {FEW_STEPS, NO_GUIDANCE}
    if channels != out:
        traits |= {CONTROL if channels == 2 * out else INPAINTING}
    wants = {"vae": Part("vae", out // 4, "flux1")}
    wants["text_encoder"] = Part("clip", number(config.get("pooled_projection_dim")))
    wants["text_encoder_2"] = Part("t5", number(config.get("joint_attention_dim")))
    return network("flux1", "a FLUX.1", wants, traits, "flow", 1024)


def _chroma(config: Mapping[str, Any], names: str) -> Contents:
    out = number(config.get("out_channels")) or number(config.get("in_channels"))
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(names) or has_word(names, "flash") else set[str]()
    wants = {"vae": Part("vae", out // 4, "flux1")}
    wants["text_encoder"] = Part("t5", number(config.get("joint_attention_dim")))
    return network("chroma", "a Chroma", wants, traits, "flow", 1024)


def _flux2(config: Mapping[str, Any], names: str) -> Contents:
    embedded = config.get("guidance_embeds") is not False
    kind = "mistral" if embedded else "qwen3"
    traits = {INSTRUCTS}
    traits |= {EMBEDDED_GUIDANCE} if embedded else {FEW_STEPS, NO_GUIDANCE}
    wants = {"vae": Part("vae", number(config.get("in_channels")) // 4, "flux2")}
    wants["text_encoder"] = Part(kind, number(config.get("joint_attention_dim")) // 3)
    return network("flux2", f"a FLUX.2 {'dev' if embedded else 'klein'}", wants, traits, "flow", 1024)


def _z_image(config: Mapping[str, Any], names: str) -> Contents | None:
    if config.get("siglip_feat_dim") is not None:
        return None  # Z-Image-Omni
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(names) else set[str]()
    wants = {"vae": Part("vae", number(config.get("in_channels")), "flux1")}
    wants["text_encoder"] = Part("qwen3", number(config.get("cap_feat_dim")))
    return network("z-image", "a Z-Image", wants, traits, "flow", 1024)


def _qwen_image(config: Mapping[str, Any], names: str) -> Contents | None:
    if config.get("use_additional_t_cond") is True:
        return None  # Qwen-Image-Layered
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(names) else set[str]()
    out = number(config.get("out_channels")) or number(config.get("in_channels")) // 4
    wants = {"vae": Part("vae", out, "qwen-image")}
    wants["text_encoder"] = Part("qwen2.5-vl", number(config.get("joint_attention_dim")))
    return network("qwen-image", "a Qwen-Image", wants, traits, "flow", 1024)


def _krea2(config: Mapping[str, Any], names: str) -> Contents:
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(names) else set[str]()
    wants = {"vae": Part("vae", (number(config.get("in_channels")) or 64) // 4, "qwen-image")}
    wants["text_encoder"] = Part("qwen3-vl", number(config.get("text_hidden_dim")) or 2560)
    return network("krea2", "a Krea 2", wants, traits, "flow", 1024)


NETWORKS: Mapping[str, Callable[[Mapping[str, Any], str], Contents | None]] = {
    "UNet2DConditionModel": _unet,
    "SD3Transformer2DModel": _sd3,
    "FluxTransformer2DModel": _flux1,
    "ChromaTransformer2DModel": _chroma,
    "Flux2Transformer2DModel": _flux2,
    "ZImageTransformer2DModel": _z_image,
    "QwenImageTransformer2DModel": _qwen_image,
    "Krea2Transformer2DModel": _krea2,
}
