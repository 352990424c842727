"""Recognises the networks that denoise, by names and shapes of their tensors. Imports no torch.

The names are those in each model's published files, in its authors' layout and in diffusers'. A file's name
decides only between networks whose tensors are the same: FLUX.1 dev and Kontext, Qwen-Image and its editor, a
model and its few-step child.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .headers import PREDICTION, Header
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
    Names,
    Part,
    has_word,
)

_CLIP_BIG = 1024  # CLIP's wider text encoders have a projection; those of Stable Diffusion 1 are narrower


_NETWORK_OF: dict[str, str] = {
    "sd": "unet",
    "sdxl": "unet",
    "sd3": "transformer",
    "flux1": "transformer",
    "flux2": "transformer",
    "z-image": "transformer",
    "qwen-image": "transformer",
}


def few_steps(names: str) -> bool:
    """Whether the names say that the model is distilled to a few steps."""
    return has_word(
        names, "turbo", "lightning", "lcm", "hyper-?sd", "dmd", "schnell", r"(?<!\d)[1248][-_ ]?steps?"
    )


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
    context = next((names.shapes[name][-1] for name in keys if name.startswith(names.prefix)), 0)
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
        return _network("sdxl", "a Stable Diffusion XL", wants, traits, prediction, size)
    wants = {"vae": Part("vae", out, "sd"), "text_encoder": Part("clip", context)}
    return _network("sd", f"a Stable Diffusion {2 if second else 1}", wants, traits, prediction, size)


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


def _sd3(names: Names, header: Header, called: str) -> Contents | None:
    if "joint_blocks.0.context_block.adaLN_modulation.1.bias" in names:
        text, pooled = names.dim("context_embedder.weight", 1), names.dim("y_embedder.mlp.0.weight", 1)
        channels = names.dim("x_embedder.proj.weight", 1)
    elif "pos_embed.proj.weight" in names and "transformer_blocks.0.attn.add_q_proj.weight" in names:
        text = names.dim("context_embedder.weight", 1)
        pooled = names.dim("time_text_embed.text_embedder.linear_1.weight", 1)
        channels = names.dim("pos_embed.proj.weight", 1)
    else:
        return None
    small, big = (768, 1280) if pooled == 768 + 1280 else (0, 0)
    wants = {"vae": Part("vae", channels, "sd3"), "text_encoder": Part("clip", small)}
    wants |= {"text_encoder_2": Part("clip", big), "text_encoder_3": Part("t5", text)}
    traits = {FLOW, *({FEW_STEPS, NO_GUIDANCE} if few_steps(called) else ())}
    return _network("sd3", "a Stable Diffusion 3", wants, traits, "flow", 1024)


def _flux1(names: Names, header: Header, called: str) -> Contents | None:
    if "distilled_guidance_layer.in_proj.bias" in names:
        return Contents("Chroma")
    if "double_blocks.0.img_attn.norm.key_norm.scale" in names and "vector_in.in_layer.weight" in names:
        channels, out = names.dim("img_in.weight", 1), names.dim("final_layer.linear.weight", 0)
        text, pooled = names.dim("txt_in.weight", 1), names.dim("vector_in.in_layer.weight", 1)
        embedded = "guidance_in.in_layer.weight" in names
    elif "single_transformer_blocks.0.proj_mlp.weight" in names and "x_embedder.weight" in names:
        channels, out = names.dim("x_embedder.weight", 1), names.dim("proj_out.weight", 0)
        text = names.dim("context_embedder.weight", 1)
        pooled = names.dim("time_text_embed.text_embedder.linear_1.weight", 1)
        embedded = "time_text_embed.guidance_embedder.linear_1.weight" in names
    else:
        return None
    traits = {FLOW, EMBEDDED_GUIDANCE} if embedded else {FLOW, FEW_STEPS, NO_GUIDANCE}
    traits |= {CONTROL} if channels == 2 * out else {INPAINTING} if channels > 2 * out else set()
    traits |= {INSTRUCTS} if has_word(called, "kontext") else set()
    traits |= {FEW_STEPS} if few_steps(called) else set()
    wants = {"vae": Part("vae", out // 4, "flux1"), "text_encoder": Part("clip", pooled)}
    wants["text_encoder_2"] = Part("t5", text)
    return _network("flux1", "a FLUX.1", wants, traits, "flow", 1024)


def _flux2(names: Names, header: Header, called: str) -> Contents | None:
    if "double_stream_modulation_img.lin.weight" in names:
        out, text = names.dim("img_in.weight", 1), names.dim("txt_in.weight", 1)
        embedded = "guidance_in.in_layer.weight" in names
    elif "double_stream_modulation_img.linear.weight" in names:
        out, text = names.dim("x_embedder.weight", 1), names.dim("context_embedder.weight", 1)
        embedded = "time_guidance_embed.guidance_embedder.linear_1.weight" in names
    else:
        return None
    # FLUX.2 dev embeds its guidance and reads Mistral, klein neither; both read three layers of their encoder
    encoder = Part("mistral" if embedded else "qwen3", text // 3)
    traits = {FLOW, INSTRUCTS, *({EMBEDDED_GUIDANCE} if embedded else ())}
    if not embedded and not has_word(called, "base"):
        traits |= {FEW_STEPS, NO_GUIDANCE}
    wants = {"vae": Part("vae", out // 4, "flux2"), "text_encoder": encoder}
    return _network("flux2", f"a FLUX.2 {'dev' if embedded else 'klein'}", wants, traits, "flow", 1024)


def _z_image(names: Names, header: Header, called: str) -> Contents | None:
    if "layers.0.adaLN_modulation.0.weight" not in names or "cap_embedder.1.weight" not in names:
        return None
    embedder = names.first("x_embedder.weight", "all_x_embedder.2-1.weight")
    traits = {FLOW, *({FEW_STEPS, NO_GUIDANCE} if few_steps(called) else ())}
    traits |= (
        {INSTRUCTS} if any(name.startswith(names.prefix + "siglip_") for name in names.shapes) else set()
    )
    wants = {"vae": Part("vae", names.dim(embedder, 1) // 4, "flux1")}
    wants["text_encoder"] = Part("qwen3", names.dim("cap_embedder.1.weight", 1))
    return _network("z-image", "a Z-Image", wants, traits, "flow", 1024)


def _qwen_image(names: Names, header: Header, called: str) -> Contents | None:
    if "transformer_blocks.0.img_mod.1.weight" not in names or "txt_norm.weight" not in names:
        return None
    if "time_text_embed.addition_t_embedding.weight" in names:
        return Contents("Qwen-Image-Layered")
    channels, out = names.dim("img_in.weight", 1), names.dim("proj_out.weight", 0)
    traits = {FLOW, *({FEW_STEPS, NO_GUIDANCE} if few_steps(called) else ())}
    traits |= {INSTRUCTS} if has_word(called, "edit(?!ion)") or "__index_timestep_zero__" in names else set()
    wants = {"vae": Part("vae", (out or channels) // 4, "qwen-image")}
    wants["text_encoder"] = Part("qwen2.5-vl", names.dim("txt_norm.weight", 0))
    return _network("qwen-image", "a Qwen-Image", wants, traits, "flow", 1024)


def _network(
    family: str, title: str, wants: Mapping[str, Part], traits: Iterable[str], prediction: str, size: int
) -> Contents:
    wants = {_NETWORK_OF[family]: Part(family), **wants}
    return Contents(f"{title} model", family, {}, wants, frozenset(traits), prediction, size)


NETWORKS: tuple[Callable[[Names, Header, str], Contents | None], ...] = (
    *(_unet, _sd3, _flux1, _flux2, _z_image, _qwen_image),
)
OTHER_NETWORKS = {  # a name that each has and no other: the names by which diffusers tells them apart
    "txt_in.text_norm.weight": "Qwen-Image 2.1",
    "txtfusion.projector.weight": "Krea 2",
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
