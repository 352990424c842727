"""Recognises transformers that denoise, by names and shapes of their tensors. Imports no torch.

The names are those in each model's published files, in its authors' layout and in diffusers'. A file's name
decides only between networks whose tensors are the same: FLUX.1 dev and Kontext, Qwen-Image and its editor, a
model and its few-step child.
"""

from __future__ import annotations

from collections.abc import Callable

from .headers import Header
from .traits import (
    CONTROL,
    EMBEDDED_GUIDANCE,
    FEW_STEPS,
    INPAINTING,
    INSTRUCTS,
    NO_GUIDANCE,
    Contents,
    Names,
    Part,
    few_steps,
    has_word,
    network,
)


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
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(called) else set[str]()
    return network("sd3", "a Stable Diffusion 3", wants, traits, "flow", 1024)


def _flux1(names: Names, header: Header, called: str) -> Contents | None:
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
    traits = {EMBEDDED_GUIDANCE} if embedded else {FEW_STEPS, NO_GUIDANCE}
    traits |= {CONTROL} if channels == 2 * out else {INPAINTING} if channels > 2 * out else set()
    traits |= {INSTRUCTS} if has_word(called, "kontext") else set()
    traits |= {FEW_STEPS} if few_steps(called) else set()
    wants = {"vae": Part("vae", out // 4, "flux1"), "text_encoder": Part("clip", pooled)}
    wants["text_encoder_2"] = Part("t5", text)
    return network("flux1", "a FLUX.1", wants, traits, "flow", 1024)


def _chroma(names: Names, header: Header, called: str) -> Contents | None:
    """FLUX.1 whose modulations one small network computes."""
    if "distilled_guidance_layer.in_proj.bias" not in names:
        return None
    first = names.first("img_in.weight", "x_embedder.weight")
    out = names.dim(names.first("final_layer.linear.weight", "proj_out.weight"), 0)
    if not first or not out:
        return Contents("Chroma Radiance")  # which denoises pixels
    text = names.dim(names.first("txt_in.weight", "context_embedder.weight"), 1)
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(called) or has_word(called, "flash") else set[str]()
    wants = {"vae": Part("vae", out // 4, "flux1"), "text_encoder": Part("t5", text)}
    return network("chroma", "a Chroma", wants, traits, "flow", 1024)


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
    traits = {INSTRUCTS, *({EMBEDDED_GUIDANCE} if embedded else ())}
    if not embedded and not has_word(called, "base"):
        traits |= {FEW_STEPS, NO_GUIDANCE}
    wants = {"vae": Part("vae", out // 4, "flux2"), "text_encoder": encoder}
    return network("flux2", f"a FLUX.2 {'dev' if embedded else 'klein'}", wants, traits, "flow", 1024)


def _z_image(names: Names, header: Header, called: str) -> Contents | None:
    if "layers.0.adaLN_modulation.0.weight" not in names or "cap_embedder.1.weight" not in names:
        return None
    if "siglip_pad_token" in names:
        return Contents("Z-Image-Omni")
    embedder = names.first("x_embedder.weight", "all_x_embedder.2-1.weight")
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(called) else set[str]()
    wants = {"vae": Part("vae", names.dim(embedder, 1) // 4, "flux1")}
    wants["text_encoder"] = Part("qwen3", names.dim("cap_embedder.1.weight", 1))
    return network("z-image", "a Z-Image", wants, traits, "flow", 1024)


def _qwen_image(names: Names, header: Header, called: str) -> Contents | None:
    if "transformer_blocks.0.img_mod.1.weight" not in names or "txt_norm.weight" not in names:
        return None
    if "time_text_embed.addition_t_embedding.weight" in names:
        return Contents("Qwen-Image-Layered")
    channels, out = names.dim("img_in.weight", 1), names.dim("proj_out.weight", 0)
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(called) else set[str]()
    traits |= {INSTRUCTS} if has_word(called, "edit(?!ion)") or "__index_timestep_zero__" in names else set()
    wants = {"vae": Part("vae", (out or channels) // 4, "qwen-image")}
    wants["text_encoder"] = Part("qwen2.5-vl", names.dim("txt_norm.weight", 0))
    return network("qwen-image", "a Qwen-Image", wants, traits, "flow", 1024)


def _krea2(names: Names, header: Header, called: str) -> Contents | None:
    fused = names.first("txtfusion.projector.weight", "text_fusion.projector.weight")
    first = names.first("first.weight", "img_in.weight")
    if not fused or not first:
        return None
    query = ("txtfusion.layerwise_blocks.0.attn.wq.weight", "text_fusion.layerwise_blocks.0.attn.to_q.weight")
    traits = {FEW_STEPS, NO_GUIDANCE} if few_steps(called) else set[str]()
    wants = {"vae": Part("vae", names.dim(first, 1) // 4, "qwen-image")}
    wants["text_encoder"] = Part("qwen3-vl", names.dim(names.first(*query), 1))
    return network("krea2", "a Krea 2", wants, traits, "flow", 1024)


TRANSFORMERS: tuple[Callable[[Names, Header, str], Contents | None], ...] = (
    *(_chroma, _sd3, _flux1, _flux2, _z_image, _qwen_image, _krea2),
)
