"""Recognises folders in diffusers' and transformers' form by their configurations. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from velatura.weights.json_files import read_object

from .denoisers import is_turbo
from .network_configurations import NETWORKS, number
from .traits import (
    FEW_STEPS,
    INSTRUCTS,
    NO_GUIDANCE,
    V_PREDICTION,
    ZERO_SNR,
    Contents,
    Part,
    few_steps,
)

_PIPELINES_THAT_INSTRUCT = ("InstructPix2Pix", "Kontext", "Edit", "Omni")
_ENCODERS = {  # classes of transformers, which come with a version of their own
    "CLIPTextModel": "clip",
    "CLIPTextModelWithProjection": "clip",
    "CLIPVisionModelWithProjection": "clip-vision",
    "T5EncoderModel": "t5",
    "T5ForConditionalGeneration": "t5",
    "UMT5EncoderModel": "umt5",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3Model": "qwen3",
    "Qwen2_5_VLForConditionalGeneration": "qwen2.5-vl",
    "Qwen3VLModel": "qwen3-vl",
    "Qwen3VLForConditionalGeneration": "qwen3-vl",
    "Mistral3ForConditionalGeneration": "mistral",
    "MistralForCausalLM": "mistral",
}
_VAES = {
    "AutoencoderKLFlux2": "flux2",
    "AutoencoderKLQwenImage": "qwen-image",
    "VQModel": "kandinsky2",
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
    recognise = NETWORKS.get(str(config.get("_class_name")))
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
    if index.get("is_distilled") is True and found.family == "krea2":
        traits |= {FEW_STEPS, NO_GUIDANCE}
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
    """The part in a folder of its own: an autoencoder, an encoder, a prior or a tokenizer; else None."""
    if (folder / "config.json").is_file():
        config = _optional(folder / "config.json")
        classes = config.get("architectures")
        kind = _ENCODERS.get(str(classes[0]) if isinstance(classes, list) and classes else "")
        if kind == "clip-vision":
            return Part(kind, number(config.get("projection_dim")))
        if kind:
            return Part(kind, _width(config))
        vae = str(config.get("_class_name"))
        if vae == "PriorTransformer":
            return Part("prior", number(config.get("embedding_dim")))
        if vae in _VAES:
            width = number(config.get("latent_channels")) or number(config.get("z_dim"))
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


def _width(config: Mapping[str, Any]) -> int:
    inner = config.get("text_config")
    own = number(config.get("hidden_size")) or number(config.get("d_model"))
    return own or (_width(inner) if isinstance(inner, dict) else 0)
