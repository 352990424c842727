"""FLUX.1's transformer and Chroma's in a file: names and shapes of their authors' layout, and diffusers'.

diffusers' own conversion holds for transformers of 3,072 channels only; this one takes the sizes from the
file.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from velatura.models.headers import Header

from . import parts

_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.")

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
    r"distilled_guidance_layer\.layers\.(\d+)\.in_layer\.": r"distilled_guidance_layer.layers.\1.linear_1.",
    r"distilled_guidance_layer\.layers\.(\d+)\.out_layer\.": r"distilled_guidance_layer.layers.\1.linear_2.",
    r"distilled_guidance_layer\.norms\.(\d+)\.scale": r"distilled_guidance_layer.norms.\1.weight",
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


class _Shapes:
    """The shapes in a file of either layout, by the authors' names."""

    def __init__(self, header: Header) -> None:
        prefix = next((p for p in _PREFIXES if _starts(header, p)), "")
        self.all = {
            name[len(prefix) :]: shape for name, shape in header.shapes.items() if name.startswith(prefix)
        }
        self.theirs = "img_in.weight" in self.all

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self.all[self._here(name)]

    def __contains__(self, name: str) -> bool:
        return self._here(name) in self.all

    def _here(self, name: str) -> str:
        return name if self.theirs else _renamed(name)

    def shared(self) -> dict[str, Any]:
        """The configuration that FLUX.1 and Chroma have in common."""
        width, channels = self["img_in.weight"]
        head = self["double_blocks.0.img_attn.norm.query_norm.scale"][0]
        double, single = "double_blocks.", "single_blocks."
        if not self.theirs:
            double, single = "transformer_blocks.", "single_transformer_blocks."
        return {
            "patch_size": 1,
            "in_channels": channels,
            "out_channels": self["final_layer.linear.weight"][0],
            "num_layers": parts.count(self.all, double),
            "num_single_layers": parts.count(self.all, single),
            "attention_head_dim": head,
            "num_attention_heads": width // head,
            "joint_attention_dim": self["txt_in.weight"][1],
            "axes_dims_rope": [head // 8, head * 7 // 16, head * 7 // 16],
        }


def configuration(header: Header) -> dict[str, Any]:
    """diffusers' configuration of FLUX.1's transformer in a file of either layout."""
    shapes = _Shapes(header)
    return {
        **shapes.shared(),
        "pooled_projection_dim": shapes["vector_in.in_layer.weight"][1],
        "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
    }


def chroma_configuration(header: Header) -> dict[str, Any]:
    """diffusers' configuration of Chroma's transformer in a file of either layout."""
    shapes = _Shapes(header)
    hidden, channels = shapes["distilled_guidance_layer.in_proj.weight"]
    return {
        **shapes.shared(),
        "approximator_num_channels": channels,
        "approximator_hidden_dim": hidden,
        "approximator_layers": parts.count(shapes.all, "distilled_guidance_layer.norms."),
    }


def _starts(header: Header, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in header.shapes)
