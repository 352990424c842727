"""Recognises folders in diffusers' and transformers' form by their configurations. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from velatura.weights.json_files import read_object

from .denoisers import few_steps, is_turbo
from .traits import (
    CONTROL,
    EMBEDDED_GUIDANCE,
    FEW_STEPS,
    FLOW,
    INPAINTING,
    INSTRUCTS,
    NO_GUIDANCE,
    V_PREDICTION,
    ZERO_SNR,
    Contents,
    Part,
)

_PIPELINES_THAT_INSTRUCT = ("InstructPix2Pix", "Kontext", "Edit", "Omni")
_ENCODERS = {  # classes of transformers, which come with a version of their own
    "CLIPTextModel": "clip",
    "CLIPTextModelWithProjection": "clip",
    "T5EncoderModel": "t5",
    "T5ForConditionalGeneration": "t5",
    "UMT5EncoderModel": "umt5",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3Model": "qwen3",
    "Qwen2_5_VLForConditionalGeneration": "qwen2.5-vl",
    "Mistral3ForConditionalGeneration": "mistral",
    "MistralForCausalLM": "mistral",
}
_VAES = {
    "AutoencoderKLFlux2": "flux2",
    "AutoencoderKLQwenImage": "qwen-image",
    "AutoencoderKL": "",
    "AutoencoderTiny": "",
}
_SCALES = {0.18215: "sd", 0.13025: "sdxl", 1.5305: "sd3", 0.3611: "flux1"}  # scaling_factor, four digits
_TOKENIZERS = {"T5": "t5", "Qwen2": "qwen", "Llama": "mistral", "Mistral": "mistral", "Pixtral": "mistral"}


def contents(folder: Path, names: str) -> Contents | None:
    """The model in a folder, without its parts' places; None if it has none that Velatura knows.

    names: see `traits.words`. Raises OSError or ValueError where a configuration cannot be read.
    """
    name = next((name for name in ("unet", "transformer") if (folder / name / "config.json").is_file()), "")
    if not name:
        return None
    config = read_object(folder / name / "config.json")
    index = _optional(folder / "model_index.json")
    scheduler = _optional(folder / "scheduler" / "scheduler_config.json")
    recognise = _NETWORKS.get(str(config.get("_class_name")))
    found = recognise(config, names) if recognise else None
    if found is None:
        return None
    pipeline = str(index.get("_class_name", ""))
    traits = set(found.traits)
    if any(word in pipeline for word in _PIPELINES_THAT_INSTRUCT):
        traits |= {INSTRUCTS}
    if found.family in ("sd", "sdxl") and is_turbo(names):
        traits |= {FEW_STEPS, NO_GUIDANCE}
    if index.get("is_distilled") is False and found.family == "flux2":
        traits -= {FEW_STEPS, NO_GUIDANCE}
    if scheduler.get("_class_name") == "LCMScheduler" or (
        scheduler.get("timestep_spacing") == "trailing"
        and (found.family in ("sd", "sdxl") and few_steps(names))
    ):
        traits |= {FEW_STEPS}
    prediction = found.prediction or str(scheduler.get("prediction_type") or "epsilon")
    if found.prediction != "flow":
        traits |= {V_PREDICTION} if prediction == "v_prediction" else set()
        traits |= {ZERO_SNR} if scheduler.get("rescale_betas_zero_snr") is True else set()
    return Contents(found.title, found.family, {}, found.wants, frozenset(traits), prediction, found.size)


def part(folder: Path, names: str = "") -> Part | None:
    """The part in a folder of its own: an autoencoder, a text encoder or a tokenizer; else None."""
    if (folder / "config.json").is_file():
        config = _optional(folder / "config.json")
        classes = config.get("architectures")
        kind = _ENCODERS.get(str(classes[0]) if isinstance(classes, list) and classes else "")
        if kind:
            return Part(kind, _width(config))
        vae = str(config.get("_class_name"))
        if vae in _VAES:
            width = _number(config.get("latent_channels")) or _number(config.get("z_dim"))
            scale = config.get("scaling_factor")
            of = _VAES[vae] or (_SCALES.get(round(scale, 5), "") if isinstance(scale, float) else "")
            return Part("vae", width, of)
    if (folder / "tokenizer_config.json").is_file():
        named = str(_optional(folder / "tokenizer_config.json").get("tokenizer_class", ""))
        of = next((of for start, of in _TOKENIZERS.items() if named.startswith(start)), "")
        return Part("tokenizer", of=of) if of else None
    return None


def _optional(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except (OSError, ValueError):
        return {}


def _number(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _width(config: Mapping[str, Any]) -> int:
    inner = config.get("text_config")
    own = _number(config.get("hidden_size")) or _number(config.get("d_model"))
    return own or (_width(inner) if isinstance(inner, dict) else 0)


def _unet(config: Mapping[str, Any], names: str) -> Contents | None:
    channels, out = _number(config.get("in_channels")) or 4, _number(config.get("out_channels")) or 4
    traits = set[str]()
    if channels != out:
        traits |= {INSTRUCTS if channels == 2 * out else INPAINTING}
    if config.get("time_cond_proj_dim") is not None:
        traits |= {EMBEDDED_GUIDANCE, FEW_STEPS}
    context = _number(config.get("cross_attention_dim"))
    side = config.get("sample_size")
    side = min(side) if isinstance(side, list) and side and all(map(_number, side)) else _number(side)
    if config.get("encoder_hid_dim_type") is not None:
        return None  # Kolors and others, whose text passes through a further layer
    if config.get("addition_embed_type") == "text_time":
        added = _number(config.get("projection_class_embeddings_input_dim"))
        wide = added - 6 * (_number(config.get("addition_time_embed_dim")) or 256)
        if not 0 < wide < context:
            return None  # the refiner
        wants = {
            "unet": Part("sdxl"),
            "vae": Part("vae", out, "sdxl"),
            "text_encoder": Part("clip", context - wide),
        }
        wants["text_encoder_2"] = Part("clip", wide)
        return _found("sdxl", "Stable Diffusion XL", wants, traits, "", 8 * side or 1024)
    if config.get("addition_embed_type") or config.get("class_embed_type"):
        return None
    wants = {"unet": Part("sd"), "vae": Part("vae", out, "sd"), "text_encoder": Part("clip", context)}
    return _found("sd", f"Stable Diffusion {2 if context == 1024 else 1}", wants, traits, "", 8 * side or 512)


def _sd3(config: Mapping[str, Any], names: str) -> Contents:
    clips = (768, 1280) if config.get("pooled_projection_dim") == 768 + 1280 else (0, 0)
    wants = {
        "vae": Part("vae", _number(config.get("in_channels")), "sd3"),
        "text_encoder": Part("clip", clips[0]),
    }
    wants["text_encoder_2"] = Part("clip", clips[1])
    wants["text_encoder_3"] = Part("t5", _number(config.get("joint_attention_dim")))
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(names) else set[str]()
    side = 8 * _number(config.get("sample_size"))
    return _found("sd3", "Stable Diffusion 3", wants, traits, "flow", side or 1024)


def _flux1(config: Mapping[str, Any], names: str) -> Contents:
    channels = _number(config.get("in_channels"))
    out = _number(config.get("out_channels")) or channels
    embedded = config.get("guidance_embeds") is True
    traits = {EMBEDDED_GUIDANCE} if embedded else {FEW_STEPS, NO_GUIDANCE}
    if channels != out:
        traits |= {CONTROL if channels == 2 * out else INPAINTING}
    wants = {"vae": Part("vae", out // 4, "flux1")}
    wants["text_encoder"] = Part("clip", _number(config.get("pooled_projection_dim")))
    wants["text_encoder_2"] = Part("t5", _number(config.get("joint_attention_dim")))
    return _found("flux1", "FLUX.1", wants, traits, "flow", 1024)


def _flux2(config: Mapping[str, Any], names: str) -> Contents:
    embedded = config.get("guidance_embeds") is not False
    kind = "mistral" if embedded else "qwen3"
    traits = {INSTRUCTS}
    traits |= {EMBEDDED_GUIDANCE} if embedded else {FEW_STEPS, NO_GUIDANCE}
    wants = {"vae": Part("vae", _number(config.get("in_channels")) // 4, "flux2")}
    wants["text_encoder"] = Part(kind, _number(config.get("joint_attention_dim")) // 3)
    return _found("flux2", f"FLUX.2 {'dev' if embedded else 'klein'}", wants, traits, "flow", 1024)


def _z_image(config: Mapping[str, Any], names: str) -> Contents:
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(names) else set[str]()
    traits |= {INSTRUCTS} if config.get("siglip_feat_dim") is not None else set()
    wants = {"vae": Part("vae", _number(config.get("in_channels")), "flux1")}
    wants["text_encoder"] = Part("qwen3", _number(config.get("cap_feat_dim")))
    return _found("z-image", "Z-Image", wants, traits, "flow", 1024)


def _qwen_image(config: Mapping[str, Any], names: str) -> Contents | None:
    if config.get("use_additional_t_cond") is True:
        return None  # Qwen-Image-Layered
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(names) else set[str]()
    out = _number(config.get("out_channels")) or _number(config.get("in_channels")) // 4
    wants = {"vae": Part("vae", out, "qwen-image")}
    wants["text_encoder"] = Part("qwen2.5-vl", _number(config.get("joint_attention_dim")))
    return _found("qwen-image", "Qwen-Image", wants, traits, "flow", 1024)


def _found(
    family: str, title: str, wants: Mapping[str, Part], traits: set[str], prediction: str, size: int
) -> Contents:
    if prediction == "flow":
        traits = traits | {FLOW}
        wants = {"transformer": Part(family), **wants}
    return Contents(f"a {title} model", family, {}, wants, frozenset(traits), prediction, size)


_NETWORKS = {
    "UNet2DConditionModel": _unet,
    "SD3Transformer2DModel": _sd3,
    "FluxTransformer2DModel": _flux1,
    "Flux2Transformer2DModel": _flux2,
    "ZImageTransformer2DModel": _z_image,
    "QwenImageTransformer2DModel": _qwen_image,
}
