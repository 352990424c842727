"""A random Stable Diffusion 3.5 in its real formats, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
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


def tiny_sd3(folder: Path, *, t5: bool = True, seed: int = 0) -> Path:
    """Writes a diffusers folder and returns it. t5: whether it has the third text encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = randomised(clip_encoder(projected=True))
        torch.nn.init.eye_(clip.text_projection.weight)  # as in the published models
        pipeline = StableDiffusion3Pipeline(
            transformer=transformer(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=autoencoder(1.5305, 0.0609),
            text_encoder=clip,
            tokenizer=clip_tokenizer(folder / "tokenizer"),
            text_encoder_2=randomised(clip_encoder(projected=True)),
            tokenizer_2=clip_tokenizer(folder / "tokenizer_2"),
            text_encoder_3=randomised(t5_encoder()) if t5 else None,
            tokenizer_3=t5_tokenizer() if t5 else None,
        )
    pipeline.save_pretrained(folder)
    return folder


def transformer() -> SD3Transformer2DModel:
    """Two heads of 32 channels, the first of two blocks with a second attention."""
    network = SD3Transformer2DModel(
        sample_size=8,
        num_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        caption_projection_dim=64,
        pooled_projection_dim=128,
        pos_embed_max_size=12,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    return randomised(network)


def tiny_sd3_file(folder: Path, path: Path, *, t5: bool = True) -> Path:
    """The model of a folder as one checkpoint with its text encoders, in its authors' layout."""
    pipeline = StableDiffusion3Pipeline.from_pretrained(folder)
    tensors = {f"model.diffusion_model.{k}": v for k, v in authors_names(pipeline.transformer).items()}
    tensors |= {f"first_stage_model.{k}": v for k, v in ldm._autoencoder(pipeline.vae).items()}
    for name, encoder in (("clip_l", pipeline.text_encoder), ("clip_g", pipeline.text_encoder_2)):
        tensors |= {f"text_encoders.{name}.transformer.{k}": v for k, v in encoder.state_dict().items()}
    del tensors["text_encoders.clip_l.transformer.text_projection.weight"]
    if t5:
        state = pipeline.text_encoder_3.state_dict()
        tensors |= {f"text_encoders.t5xxl.transformer.{k}": v for k, v in state.items() if "embed_t" not in k}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, path)
    return path


def authors_names(network: SD3Transformer2DModel) -> dict[str, Tensor]:
    """The transformer's tensors in its authors' layout, written from the names in the published files."""
    old = dict(network.state_dict())
    new: dict[str, Tensor] = {"pos_embed": old.pop("pos_embed.pos_embed")}

    def take(*names: str) -> Tensor:
        return torch.cat([old.pop(name) for name in names])

    for end in ("weight", "bias"):
        new[f"x_embedder.proj.{end}"] = take(f"pos_embed.proj.{end}")
        new[f"context_embedder.{end}"] = take(f"context_embedder.{end}")
        for name, part in (("t", "timestep"), ("y", "text")):
            for layer, number in (("0", "1"), ("2", "2")):
                theirs = f"time_text_embed.{part}_embedder.linear_{number}.{end}"
                new[f"{name}_embedder.mlp.{layer}.{end}"] = take(theirs)
        new[f"final_layer.linear.{end}"] = take(f"proj_out.{end}")
        new[f"final_layer.adaLN_modulation.1.{end}"] = swapped(take(f"norm_out.linear.{end}"))
    last = network.config.num_layers - 1
    for i in range(last + 1):
        block, attn = f"transformer_blocks.{i}.", f"transformer_blocks.{i}.attn."
        for stream, suffix, qkv, out, norm in (
            ("x", "", ("to_q", "to_k", "to_v"), "to_out.0", "norm_"),
            ("context", "_context", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out", "norm_added_"),
        ):
            start = f"joint_blocks.{i}.{stream}_block."
            whole = stream == "x" or i < last
            for end in ("weight", "bias"):
                modulation = take(f"{block}norm1{suffix}.linear.{end}")
                new[f"{start}adaLN_modulation.1.{end}"] = modulation if whole else swapped(modulation)
                new[f"{start}attn.qkv.{end}"] = take(*(f"{attn}{name}.{end}" for name in qkv))
                if whole:
                    new[f"{start}attn.proj.{end}"] = take(f"{attn}{out}.{end}")
                    new[f"{start}mlp.fc1.{end}"] = take(f"{block}ff{suffix}.net.0.proj.{end}")
                    new[f"{start}mlp.fc2.{end}"] = take(f"{block}ff{suffix}.net.2.{end}")
            new[f"{start}attn.ln_q.weight"] = take(f"{attn}{norm}q.weight")
            new[f"{start}attn.ln_k.weight"] = take(f"{attn}{norm}k.weight")
        second = f"transformer_blocks.{i}.attn2."
        if f"{second}to_q.weight" in old:
            start = f"joint_blocks.{i}.x_block.attn2."
            for end in ("weight", "bias"):
                new[f"{start}qkv.{end}"] = take(
                    *(f"{second}{name}.{end}" for name in ("to_q", "to_k", "to_v"))
                )
                new[f"{start}proj.{end}"] = take(f"{second}to_out.0.{end}")
            new[f"{start}ln_q.weight"] = take(f"{second}norm_q.weight")
            new[f"{start}ln_k.weight"] = take(f"{second}norm_k.weight")
    assert not old, sorted(old)
    return new


def swapped(x: Tensor) -> Tensor:
    """diffusers' last normalisations have scale and shift in the other order."""
    return torch.cat(x.chunk(2)[::-1])
