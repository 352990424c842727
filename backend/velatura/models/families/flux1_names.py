"""FLUX.1's transformer in a file: names and shapes of its authors' layout, and diffusers'.

diffusers' own conversion holds for transformers of 3,072 channels only; this one takes the sizes from the
file.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from velatura.models.headers import Header

RENAMED = {
    r"img_in\.": "x_embedder.",
    r"txt_in\.": "context_embedder.",
    r"time_in\.in_layer\.": "time_text_embed.timestep_embedder.linear_1.",
    r"time_in\.out_layer\.": "time_text_embed.timestep_embedder.linear_2.",
    r"vector_in\.in_layer\.": "time_text_embed.text_embedder.linear_1.",
    r"vector_in\.out_layer\.": "time_text_embed.text_embedder.linear_2.",
    r"guidance_in\.in_layer\.": "time_text_embed.guidance_embedder.linear_1.",
    r"guidance_in\.out_layer\.": "time_text_embed.guidance_embedder.linear_2.",
    r"final_layer\.linear\.": "proj_out.",
    r"final_layer\.adaLN_modulation\.1\.": "norm_out.linear.",
    r"double_blocks\.(\d+)\.img_mod\.lin\.": r"transformer_blocks.\1.norm1.linear.",
    r"double_blocks\.(\d+)\.txt_mod\.lin\.": r"transformer_blocks.\1.norm1_context.linear.",
    r"double_blocks\.(\d+)\.img_attn\.proj\.": r"transformer_blocks.\1.attn.to_out.0.",
    r"double_blocks\.(\d+)\.txt_attn\.proj\.": r"transformer_blocks.\1.attn.to_add_out.",
    r"double_blocks\.(\d+)\.img_attn\.norm\.query_norm\.scale": r"transformer_blocks.\1.attn.norm_q.weight",
    r"double_blocks\.(\d+)\.img_attn\.norm\.key_norm\.scale": r"transformer_blocks.\1.attn.norm_k.weight",
    r"double_blocks\.(\d+)\.txt_attn\.norm\.query_norm\.scale": (
        r"transformer_blocks.\1.attn.norm_added_q.weight"
    ),
    r"double_blocks\.(\d+)\.txt_attn\.norm\.key_norm\.scale": (
        r"transformer_blocks.\1.attn.norm_added_k.weight"
    ),
    r"double_blocks\.(\d+)\.img_mlp\.0\.": r"transformer_blocks.\1.ff.net.0.proj.",
    r"double_blocks\.(\d+)\.img_mlp\.2\.": r"transformer_blocks.\1.ff.net.2.",
    r"double_blocks\.(\d+)\.txt_mlp\.0\.": r"transformer_blocks.\1.ff_context.net.0.proj.",
    r"double_blocks\.(\d+)\.txt_mlp\.2\.": r"transformer_blocks.\1.ff_context.net.2.",
    r"single_blocks\.(\d+)\.modulation\.lin\.": r"single_transformer_blocks.\1.norm.linear.",
    r"single_blocks\.(\d+)\.linear2\.": r"single_transformer_blocks.\1.proj_out.",
    r"single_blocks\.(\d+)\.norm\.query_norm\.scale": r"single_transformer_blocks.\1.attn.norm_q.weight",
    r"single_blocks\.(\d+)\.norm\.key_norm\.scale": r"single_transformer_blocks.\1.attn.norm_k.weight",
}
SPLIT = {
    r"double_blocks\.(\d+)\.img_attn\.qkv\.": (
        r"transformer_blocks.\1.attn.",
        ("to_q.", "to_k.", "to_v."),
    ),
    r"double_blocks\.(\d+)\.txt_attn\.qkv\.": (
        r"transformer_blocks.\1.attn.",
        ("add_q_proj.", "add_k_proj.", "add_v_proj."),
    ),
    r"single_blocks\.(\d+)\.linear1\.": (
        r"single_transformer_blocks.\1.",
        ("attn.to_q.", "attn.to_k.", "attn.to_v.", "proj_mlp."),
    ),
}


def converted(found: dict[str, Any]) -> dict[str, Any]:
    """The tensors with diffusers' names, which may be the names that they have. GGUF's tensors stay such."""
    if "img_in.weight" not in found:
        return found
    channels = len(found["img_in.bias"])
    made: dict[str, Any] = {}
    for name, value in found.items():
        for pattern, (start, ends) in SPLIT.items():
            if match := re.match(pattern, name):
                rows = [channels] * 3
                rows += [len(value) - 3 * channels] if len(ends) == 4 else []
                for end, part in zip(ends, torch.split(value, rows), strict=True):
                    made[match.expand(start) + end + name[match.end() :]] = torch.cat([part])
                break
        else:
            made[_renamed(name)] = _swapped(value) if name.startswith("final_layer.adaLN") else value
    return made


def _renamed(name: str) -> str:
    for pattern, new in RENAMED.items():
        if match := re.match(pattern, name):
            return match.expand(new) + name[match.end() :]
    return name


def _swapped(value: Any) -> Any:
    """Scale and shift in the other order, as diffusers' last normalisation has them."""
    shift, scale = value.chunk(2, dim=0)
    return torch.cat([scale, shift], dim=0)


def configuration(header: Header) -> dict[str, Any]:
    """diffusers' configuration of the transformer in a file of either layout."""
    prefix = next(
        (p for p in ("model.diffusion_model.", "diffusion_model.", "transformer.") if _starts(header, p)), ""
    )
    shapes = {name[len(prefix) :]: shape for name, shape in header.shapes.items() if name.startswith(prefix)}
    theirs = "img_in.weight" in shapes

    def shape(original: str) -> tuple[int, ...]:
        return shapes[original if theirs else _renamed(original)]

    double, single = "double_blocks.", "single_blocks."
    if not theirs:
        double, single = "transformer_blocks.", "single_transformer_blocks."
    width, channels = shape("img_in.weight")
    head = shape("double_blocks.0.img_attn.norm.query_norm.scale")[0]
    guidance = "guidance_in.in_layer.weight"
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": shape("final_layer.linear.weight")[0],
        "num_layers": _count(shapes, double),
        "num_single_layers": _count(shapes, single),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shape("txt_in.weight")[1],
        "pooled_projection_dim": shape("vector_in.in_layer.weight")[1],
        "guidance_embeds": (guidance if theirs else _renamed(guidance)) in shapes,
        "axes_dims_rope": [head // 8, head * 7 // 16, head * 7 // 16],
    }


def _starts(header: Header, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in header.shapes)


def _count(shapes: dict[str, tuple[int, ...]], blocks: str) -> int:
    return len({name.split(".")[1] for name in shapes if name.startswith(blocks)})
