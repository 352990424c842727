"""A random FLUX.1 in its real formats, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
)
from safetensors.torch import save_file
from torch import Tensor

from tests.models import ldm
from tests.tiny_t5 import (
    WIDTH,
    autoencoder,
    clip_encoder,
    clip_tokenizer,
    randomised,
    t5_encoder,
    t5_tokenizer,
)

DEV = {"use_dynamic_shifting": True, "shift": 3.0, "base_shift": 0.5, "max_shift": 1.15}
SCHNELL = {"use_dynamic_shifting": False, "shift": 1.0}
FILL = 64 + 64 + 256  # channels of a token of Fill


def tiny_flux1(
    folder: Path, *, schnell: bool = False, kontext: bool = False, channels: int = 64, seed: int = 0
) -> Path:
    """Writes a diffusers folder of FLUX.1 dev, schnell, Kontext or Fill (of `FILL` channels); the folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = (FluxKontextPipeline if kontext else FluxPipeline)(
            scheduler=FlowMatchEulerDiscreteScheduler(**(SCHNELL if schnell else DEV)),
            vae=autoencoder(0.3611, 0.1159),
            text_encoder=randomised(clip_encoder(projected=False)),
            tokenizer=clip_tokenizer(folder / "tokenizer"),
            text_encoder_2=randomised(t5_encoder()),
            tokenizer_2=t5_tokenizer(),
            transformer=transformer(channels, guidance=not schnell),
        )
    pipeline.save_pretrained(folder)
    return folder


def transformer(channels: int = 64, *, guidance: bool = True) -> FluxTransformer2DModel:
    """Two heads of 32 channels, a block of two streams and two of one."""
    network = FluxTransformer2DModel(
        in_channels=channels,
        out_channels=64,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=64,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 14, 14),
    )
    return randomised(network)


def tiny_flux1_files(folder: Path, shelf: Path) -> Path:
    """The model of a folder as files, as ComfyUI has them; that of the transformer."""
    network = FluxTransformer2DModel.from_pretrained(folder / "transformer")
    pipeline = FluxPipeline.from_pretrained(folder, transformer=None)
    clip = {f"text_model.{k}": v for k, v in pipeline.text_encoder.state_dict().items()}
    t5 = {k: v for k, v in pipeline.text_encoder_2.state_dict().items() if "embed_tokens" not in k}
    files = {
        "diffusion_models/flux1-dev": authors_names(network.state_dict()),
        "vae/ae": ldm.autoencoder(pipeline.vae),
        "text_encoders/clip_l": clip,
        "text_encoders/t5xxl": t5,
    }
    for name, tensors in files.items():
        path = shelf / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, path)
    pipeline.tokenizer_2.save_pretrained(shelf / "t5_tokenizer")
    return shelf / "diffusion_models" / "flux1-dev.safetensors"


def authors_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The transformer's tensors in its authors' layout, written from the names in the published files."""
    old = dict(state)
    new: dict[str, Tensor] = {}

    def take(*names: str) -> Tensor:
        return torch.cat([old.pop(name) for name in names])

    for end in ("weight", "bias"):
        new[f"img_in.{end}"] = take(f"x_embedder.{end}")
        new[f"txt_in.{end}"] = take(f"context_embedder.{end}")
        for name, part in (("time", "timestep"), ("vector", "text"), ("guidance", "guidance")):
            stem = f"time_text_embed.{part}_embedder.linear_"
            if f"{stem}1.{end}" in old:
                new[f"{name}_in.in_layer.{end}"] = take(f"{stem}1.{end}")
                new[f"{name}_in.out_layer.{end}"] = take(f"{stem}2.{end}")
        new[f"final_layer.linear.{end}"] = take(f"proj_out.{end}")
        if f"norm_out.linear.{end}" in old:  # none of Chroma, as the modulations of its blocks
            scale, shift = take(f"norm_out.linear.{end}").chunk(2)
            new[f"final_layer.adaLN_modulation.1.{end}"] = torch.cat([shift, scale])
    double = sum(name.endswith("attn.add_q_proj.weight") for name in state)
    for i in range(double):
        block, attn = f"transformer_blocks.{i}.", f"transformer_blocks.{i}.attn."
        for stream, suffix, qkv, out, norm in (
            ("img", "", ("to_q", "to_k", "to_v"), "to_out.0", "norm_"),
            ("txt", "_context", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out", "norm_added_"),
        ):
            start = f"double_blocks.{i}.{stream}_"
            for end in ("weight", "bias"):
                if f"{block}norm1{suffix}.linear.{end}" in old:
                    new[f"{start}mod.lin.{end}"] = take(f"{block}norm1{suffix}.linear.{end}")
                new[f"{start}attn.qkv.{end}"] = take(*(f"{attn}{name}.{end}" for name in qkv))
                new[f"{start}attn.proj.{end}"] = take(f"{attn}{out}.{end}")
                new[f"{start}mlp.0.{end}"] = take(f"{block}ff{suffix}.net.0.proj.{end}")
                new[f"{start}mlp.2.{end}"] = take(f"{block}ff{suffix}.net.2.{end}")
            new[f"{start}attn.norm.query_norm.scale"] = take(f"{attn}{norm}q.weight")
            new[f"{start}attn.norm.key_norm.scale"] = take(f"{attn}{norm}k.weight")
    single = sum(name.endswith("proj_mlp.weight") for name in state)
    for i in range(single):
        block, start = f"single_transformer_blocks.{i}.", f"single_blocks.{i}."
        for end in ("weight", "bias"):
            parts = (f"{block}{name}.{end}" for name in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"))
            new[f"{start}linear1.{end}"] = take(*parts)
            new[f"{start}linear2.{end}"] = take(f"{block}proj_out.{end}")
            if f"{block}norm.linear.{end}" in old:
                new[f"{start}modulation.lin.{end}"] = take(f"{block}norm.linear.{end}")
        new[f"{start}norm.query_norm.scale"] = take(f"{block}attn.norm_q.weight")
        new[f"{start}norm.key_norm.scale"] = take(f"{block}attn.norm_k.weight")
    assert not old, sorted(old)
    return new
