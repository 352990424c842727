"""Recognises the networks that denoise, by names and shapes of their tensors. Imports no torch.

The names are those in each model's published files, in its authors' layout and in diffusers'. A file's name
decides only between networks whose tensors are the same: FLUX.1 dev and Kontext, Qwen-Image and its editor, a
model and its few-step child.
"""

from __future__ import annotations

from collections.abc import Callable

from .denoising_transformers import TRANSFORMERS
from .headers import PREDICTION, Header
from .traits import (
    EMBEDDED_GUIDANCE,
    FEW_STEPS,
    INPAINTING,
    INSTRUCTS,
    NO_GUIDANCE,
    V_PREDICTION,
    ZERO_SNR,
    Contents,
    Names,
    Part,
    few_steps,
    has_word,
    network,
)

_CLIP_BIG = 1024  # CLIP's wider text encoders have a projection; those of Stable Diffusion 1 are narrower


def is_turbo(names: str) -> bool:
    """Whether the names are those of Stability AI's SD-Turbo or SDXL-Turbo (Sauer et al. 2023,
    arXiv:2311.17042), which take no guidance. Their children, merged with others, often do."""
    return has_word(names, r"(sd)?[-_ ]?xl[-_ ]?turbo", r"sd[-_ ]?turbo")


def _unet(names: Names, header: Header, called: str) -> Contents | None:
    """Stable Diffusion 1, 2 and XL, in the layout of LDM and in that of diffusers."""
    first = names.first("input_blocks.0.0.weight", "conv_in.weight")
    pooled = names.first("label_emb.0.0.weight", "add_embedding.linear_1.weight")
    ldm = first.startswith("input")
    if not first or (not ldm and "down_blocks.0.resnets.0.time_emb_proj.weight" not in names):
        return None
    out = names.dim(names.first("out.2.weight", "conv_out.weight"), 0)
    keys = (name for name in names.shapes if name.endswith("attn2.to_k.weight"))
    context = next((sum(names.shapes[name][-1:]) for name in keys if name.startswith(names.prefix)), 0)
    if not context or names.dim(first, 1) not in (out, 2 * out, 2 * out + 1):
        return None
    xl = bool(pooled)
    wide = _of_big_clip(names.dim(pooled, 1), context) if xl else 0
    if xl and (not wide or (names.dim(pooled, 1), context) == _REFINER):
        return Contents("the refiner of Stable Diffusion XL")
    traits = {INPAINTING} if names.dim(first, 1) > 2 * out else set[str]()
    traits |= {INSTRUCTS} if names.dim(first, 1) == 2 * out else set()
    if names.first("time_embed.cond_proj.weight", "time_embedding.cond_proj.weight"):
        traits |= {EMBEDDED_GUIDANCE, FEW_STEPS}
    elif few_steps(called):
        traits |= {FEW_STEPS}
    traits |= {NO_GUIDANCE} if is_turbo(called) else set()
    second = not xl and context >= _CLIP_BIG
    prediction = _prediction(header, called) or ("" if second else "epsilon")
    traits |= {V_PREDICTION} if prediction == "v_prediction" else set()
    traits |= {ZERO_SNR} if "ztsnr" in header.shapes else set()
    size = (512 if is_turbo(called) else 1024) if xl else 768 if second and V_PREDICTION in traits else 512
    if xl:
        wants = {
            "unet": Part("sdxl"),
            "vae": Part("vae", out, "sdxl"),
            "text_encoder": Part("clip", context - wide),
        }
        wants["text_encoder_2"] = Part("clip", wide)
        return network("sdxl", "a Stable Diffusion XL", wants, traits, prediction, size)
    wants = {"unet": Part("sd"), "vae": Part("vae", out, "sd"), "text_encoder": Part("clip", context)}
    return network("sd", f"a Stable Diffusion {2 if second else 1}", wants, traits, prediction, size)


_REFINER = (2560, 1280)  # inputs beside the steps, and of the text


def _of_big_clip(added: int, context: int) -> int:
    """Features of Stable Diffusion XL's second text encoder.

    They enter pooled, beside six numbers (sizes and crops) of 256 features each, fewer in small networks."""
    sides = (added - 6 * features for features in (256, 32, 16, 8))
    return next((side for side in sides if 0 < side < context), 0)


def _prediction(header: Header, called: str) -> str:
    noted = header.metadata.get(PREDICTION, "").lower()
    if noted:
        return "v_prediction" if noted.startswith("v") else "epsilon"
    if "v_pred" in header.shapes or has_word(called, r"v[-_ ]?pred"):
        return "v_prediction"
    return ""


NETWORKS: tuple[Callable[[Names, Header, str], Contents | None], ...] = (
    _unet,
    *TRANSFORMERS,
)
OTHER_NETWORKS = {  # a name that each has and no other: the names by which diffusers tells them apart
    "txt_in.text_norm.weight": "Qwen-Image 2.1",
    "early_stream_modulations.image.lin.weight": "FLUX.3",
    "cap_embedder.0.weight": "Lumina 2",
    "blocks.0.cross_attn.q_linear.weight": "SANA or PixArt",
    "head.modulation": "the video model Wan",
    "patchify_proj.weight": "the video model LTX",
    "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias": "the video model Hunyuan",
    "double_stream_blocks.0.block.adaLN_modulation.1.bias": "HiDream",
    "double_layers.0.attn.w2q.weight": "AuraFlow",
    "clip_txt_mapper.weight": "Stable Cascade",
    "down_blocks.1.0.channelwise.0.weight": "Stable Cascade",
    "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": "AnimateDiff",
}
