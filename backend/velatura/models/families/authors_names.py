"""The names by which authors of transformers call their layers, and diffusers' names in their place.

FLUX.1's table also converts its files (`flux1_names`); diffusers converts those of the others itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from . import flux1_names

_QKV = ("to_q.", "to_k.", "to_v.")
_ADDED = ("add_q_proj.", "add_k_proj.", "add_v_proj.")


class AuthorsNames(NamedTuple):
    """Patterns of the authors' names, up to the point before "weight", and what diffusers has in their place.

    Args:
        split: fused layers: the start of diffusers' names, and the ends of the layers in the order of their
            outputs.
        renamed: other layers.
    """

    split: Mapping[str, tuple[str, Sequence[str]]]
    renamed: Mapping[str, str]


def of(transformer: str) -> AuthorsNames:
    """The names for a class of diffusers; none for one whose authors use diffusers' names."""
    return _TRANSFORMERS.get(transformer, AuthorsNames({}, {}))


_FLUX1 = AuthorsNames(
    flux1_names.SPLIT,
    flux1_names.RENAMED,
)
_FLUX2_OWN = {
    r"double_blocks\.(\d+)\.img_mlp\.0\.": r"transformer_blocks.\1.ff.linear_in.",
    r"double_blocks\.(\d+)\.img_mlp\.2\.": r"transformer_blocks.\1.ff.linear_out.",
    r"double_blocks\.(\d+)\.txt_mlp\.0\.": r"transformer_blocks.\1.ff_context.linear_in.",
    r"double_blocks\.(\d+)\.txt_mlp\.2\.": r"transformer_blocks.\1.ff_context.linear_out.",
    r"single_blocks\.(\d+)\.linear1\.": r"single_transformer_blocks.\1.attn.to_qkv_mlp_proj.",
    r"single_blocks\.(\d+)\.linear2\.": r"single_transformer_blocks.\1.attn.to_out.",
    r"time_in\.in_layer\.": "time_guidance_embed.timestep_embedder.linear_1.",
    r"time_in\.out_layer\.": "time_guidance_embed.timestep_embedder.linear_2.",
    r"guidance_in\.in_layer\.": "time_guidance_embed.guidance_embedder.linear_1.",
    r"guidance_in\.out_layer\.": "time_guidance_embed.guidance_embedder.linear_2.",
    r"double_stream_modulation_img\.lin\.": "double_stream_modulation_img.linear.",
    r"double_stream_modulation_txt\.lin\.": "double_stream_modulation_txt.linear.",
    r"single_stream_modulation\.lin\.": "single_stream_modulation.linear.",
}
_FLUX2 = AuthorsNames(  # FLUX.1's, but for the layers above, and one layer in place of its fused single ones
    {pattern: new for pattern, new in _FLUX1.split.items() if pattern.startswith("double")},
    {**_FLUX1.renamed, **_FLUX2_OWN},
)
_STREAMS = (("x_block", "attn", _QKV), ("x_block", "attn2", _QKV), ("context_block", "attn", _ADDED))
_SD3 = AuthorsNames(
    {
        rf"joint_blocks\.(\d+)\.{stream}\.{attention}\.qkv\.": (rf"transformer_blocks.\1.{attention}.", ends)
        for stream, attention, ends in _STREAMS
    },
    {
        rf"joint_blocks\.(\d+)\.{stream}\.{theirs}\.": rf"transformer_blocks.\1.{ours}."
        for stream, theirs, ours in (
            ("x_block", r"attn\.proj", "attn.to_out.0"),
            ("x_block", r"attn2\.proj", "attn2.to_out.0"),
            ("context_block", r"attn\.proj", "attn.to_add_out"),
            ("x_block", r"mlp\.fc1", "ff.net.0.proj"),
            ("x_block", r"mlp\.fc2", "ff.net.2"),
            ("context_block", r"mlp\.fc1", "ff_context.net.0.proj"),
            ("context_block", r"mlp\.fc2", "ff_context.net.2"),
            ("x_block", r"adaLN_modulation\.1", "norm1.linear"),
            ("context_block", r"adaLN_modulation\.1", "norm1_context.linear"),
        )
    }
    | {
        r"x_embedder\.proj\.": "pos_embed.proj.",
        r"t_embedder\.mlp\.0\.": "time_text_embed.timestep_embedder.linear_1.",
        r"t_embedder\.mlp\.2\.": "time_text_embed.timestep_embedder.linear_2.",
        r"y_embedder\.mlp\.0\.": "time_text_embed.text_embedder.linear_1.",
        r"y_embedder\.mlp\.2\.": "time_text_embed.text_embedder.linear_2.",
        r"final_layer\.linear\.": "proj_out.",
        r"final_layer\.adaLN_modulation\.1\.": "norm_out.linear.",
    },
)
_PARTS = ("layers", "context_refiner", "noise_refiner")
_Z_IMAGE = AuthorsNames(
    {rf"{part}\.(\d+)\.attention\.qkv\.": (rf"{part}.\1.attention.", _QKV) for part in _PARTS},
    {rf"{part}\.(\d+)\.attention\.out\.": rf"{part}.\1.attention.to_out.0." for part in _PARTS}
    | {
        r"x_embedder\.": "all_x_embedder.2-1.",
        r"final_layer\.linear\.": "all_final_layer.2-1.linear.",
        r"final_layer\.adaLN_modulation\.1\.": "all_final_layer.2-1.adaLN_modulation.1.",
    },
)
_TRANSFORMERS: Mapping[str, AuthorsNames] = MappingProxyType(
    {
        "FluxTransformer2DModel": _FLUX1,
        "ChromaTransformer2DModel": _FLUX1,
        "Flux2Transformer2DModel": _FLUX2,
        "SD3Transformer2DModel": _SD3,
        "ZImageTransformer2DModel": _Z_IMAGE,
    }
)
