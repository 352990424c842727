"""Recognises a file of weights by its header: names and shapes of its tensors. Imports no torch.

`denoisers` has the networks that denoise; here are the parts beside them, and files of other kinds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from .denoisers import NETWORKS, OTHER_NETWORKS
from .headers import Header
from .traits import PACKED, SCALED_FP8, Contents, Names, Part, has_word

_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "")
_TITLES = {
    "clip": "CLIP",
    "t5": "T5",
    "qwen3": "Qwen3",
    "qwen3-vl": "Qwen3-VL",
    "qwen2.5-vl": "Qwen2.5-VL",
    "mistral": "Mistral",
}


def contents(header: Header, names: str = "") -> Contents | None:
    """What the file with this header holds; None if nothing in it is known.

    names: see `words`.
    """
    text = "\n".join(header.shapes)
    whole = "\ncond_stage_model." in text or "model.diffusion_model." in text
    for title, pattern in _SEARCHED:
        if not whole and pattern.search(text):
            return Contents(title)
    packing = _packing(header, text)
    for prefix in _PREFIXES:
        inside = Names(header.shapes, prefix)
        for recognise in NETWORKS:
            if own := recognise(inside, header, names):
                network = {name: part for name, part in own.wants.items() if part.kind == own.family}
                parts = {**network, **_beside(header, own.wants, names)} if own.family else {}
                return replace(own, parts=parts, traits=own.traits | packing)
        for name, title in OTHER_NETWORKS.items():
            if name in inside:
                return Contents(title)
    inside = Names(header.shapes, "")
    if encoder := _encoder(inside, header):
        title = f"a text encoder ({_TITLES.get(encoder.kind, 'of another kind')})"
        return Contents(title, parts={encoder.kind: encoder}, traits=frozenset(packing))
    if vae := _vae(inside, names):
        return Contents("an autoencoder (VAE)", parts={"vae": vae}, traits=frozenset(packing))
    return None


_ENCODERS_BESIDE = {  # in checkpoints that hold all parts: prefixes of each
    "text_encoder": (
        *("cond_stage_model.transformer.", "cond_stage_model.model.", "conditioner.embedders.0.transformer."),
        *("text_encoders.clip_l.transformer.", "text_encoders.qwen3_4b.transformer."),
        *("text_encoders.qwen3_8b.transformer.", "text_encoders.qwen25_7b.transformer."),
        *("text_encoders.mistral3_24b.transformer.", "text_encoders.t5xxl.transformer."),
    ),
    "text_encoder_2": (
        *("conditioner.embedders.1.model.", "text_encoders.clip_g.transformer."),
        "text_encoders.t5xxl.transformer.",
    ),
    "text_encoder_3": ("text_encoders.t5xxl.transformer.",),
}


def _beside(header: Header, wants: Mapping[str, Part], called: str) -> dict[str, Part]:
    """The parts that the family needs beside its network and that the same file has."""
    found: dict[str, Part] = {}
    for part, want in wants.items():
        for prefix in _ENCODERS_BESIDE.get(part, ("first_stage_model.", "vae.")):
            names = Names(header.shapes, prefix)
            own = _vae(names, called) if part == "vae" else _encoder(names, header)
            if own and own.kind == want.kind and part not in found:
                found[part] = want
    return found


def _encoder(names: Names, header: Header) -> Part | None:
    """A text encoder, in the layouts of transformers, open_clip and llama.cpp."""
    for inner in ("", "text_model."):
        if (
            f"{inner}embeddings.token_embedding.weight" in names
            and f"{inner}encoder.layers.0.mlp.fc1.weight" in names
        ):
            return Part("clip", names.dim(f"{inner}embeddings.token_embedding.weight", 1))
    if "token_embedding.weight" in names and "transformer.resblocks.0.mlp.c_fc.weight" in names:
        return Part("clip", names.dim("token_embedding.weight", 1))
    table = names.first("shared.weight", "encoder.embed_tokens.weight", "token_embd.weight")
    if names.first("encoder.block.0.layer.0.SelfAttention.q.weight", "enc.blk.0.attn_q.weight"):
        kind = "t5" if names.dim(table, 0) <= _T5_VOCABULARY else "umt5"
        return Part(kind, names.dim(table or "encoder.block.0.layer.0.layer_norm.weight", -1))
    if "blk.0.attn_q.weight" in names:
        return Part(_GGUF.get(header.metadata.get("general.architecture", ""), "llm"), names.dim(table, 1))
    for inner in ("model.", "model.language_model.", "language_model.model.", ""):
        layer = f"{inner}layers.0.self_attn."
        if f"{layer}q_proj.weight" not in names:
            continue
        seeing = any(
            name.startswith((f"{names.prefix}visual.", f"{names.prefix}model.visual."))
            for name in names.shapes
        )
        if f"{inner}layers.0.post_feedforward_layernorm.weight" in names:
            kind = "gemma"
        elif f"{layer}q_norm.weight" in names:
            kind = "qwen3-vl" if seeing else "qwen3"
        elif f"{layer}q_proj.bias" in names:
            kind = "qwen2.5-vl" if seeing else "qwen2.5"
        else:
            kind = "mistral"
        return Part(
            kind, names.dim(f"{inner}embed_tokens.weight", 1) or names.dim(f"{layer}q_proj.weight", 1)
        )
    return None


_T5_VOCABULARY = 40_000  # T5 has 32,128 tokens, UMT5 of the video models 256,384
_GGUF = {
    "qwen3": "qwen3",
    "qwen2vl": "qwen2.5-vl",
    "llama": "mistral",
    "mistral3": "mistral",
    "gemma2": "gemma",
}


def _vae(names: Names, called: str) -> Part | None:
    """An autoencoder. Its channels, and else its name, say for which family it was trained."""
    first = names.first("decoder.conv_in.weight", "decoder.conv1.weight")
    inside = ("decoder.mid.block_1.conv1.weight", "decoder.mid_block.resnets.0.conv1.weight")
    if not first or not names.first(*inside, "decoder.middle.0.residual.0.gamma"):
        return None
    width = names.dim(first, 1)
    if len(names.shapes[names.prefix + first]) == 5:  # three-dimensional, as in video models
        return Part("vae", width, "wan" if has_word(called, "wan") or width > 16 else "qwen-image")
    if "bn.running_mean" in names:
        return Part("vae", width, "flux2")
    if width >= 16:
        return Part("vae", width, "sd3" if has_word(called, r"sd[-_]?3", "stable-diffusion-3") else "flux1")
    return Part("vae", width, "sdxl" if re.search(r"xl|pony|illustrious|noob", called) else "sd")


_NO_MODELS = (  # a person's name for the kind of file, and names of tensors that only this kind has
    (
        "an adapter (LoRA)",
        r"lora_(down|up|A|B)\b|\.(hada_w1_a|lokr_w1|lokr_w1_a|oft_blocks|dora_scale|ia3_l|on_input)$",
    ),
    (
        "a ControlNet",
        r"^(control_model\.|controlnet_|control_layers\.|control_all_x_embedder|control_noise_refiner\.)"
        r"|controlnet_(cond_embedding|blocks|x_embedder)|^input_hint_block\.",
    ),
    ("an IP-Adapter", r"^(ip_adapter|image_proj|ip_adapter_proj_model)\."),
    ("a textual inversion", r"^(emb_params|string_to_param.*|clip_l|clip_g|<[^>]*>)$"),
    (
        "an enlarger (upscaler)",
        r"^(params_ema\.)?(conv_first\.weight|model\.1\.sub\.0\.|layers\.0\.residual_group\.)",
    ),
    ("an image encoder (CLIP vision)", r"^(vision_model|visual\.transformer)\.(?!.*text)"),
)
_SEARCHED = tuple((title, re.compile(pattern, re.MULTILINE)) for title, pattern in _NO_MODELS)
_SCALES = re.compile(r"^(scaled_fp8|.*\.(scale_weight|weight_scale))$", re.MULTILINE)
_PACKS = re.compile(r"\.(qweight|wscales|comfy_quant|quant_state\..*|weight_scale_2|absmax)$", re.MULTILINE)


def _packing(header: Header, text: str) -> set[str]:
    """Traits of weights that are stored in an own form."""
    if header.form == "gguf":
        return set()
    if any(dtype in ("F4", "U8", "I8") for dtype in header.dtypes.values()) and _PACKS.search(text):
        return {PACKED}
    return {SCALED_FP8} if _SCALES.search(text) else set()
