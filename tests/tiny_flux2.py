"""A random FLUX.2 in its real formats, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from transformers import Qwen2Tokenizer, Qwen3ForCausalLM

from tests.tiny_texts import qwen3, qwen_tokenizer

SCHEDULER = {"shift": 3.0, "use_dynamic_shifting": True, "time_shift_type": "exponential"}


def tiny_flux2(folder: Path, *, distilled: bool = False, seed: int = 0) -> Path:
    """Writes a diffusers folder of FLUX.2 klein and returns it. distilled: to few steps without guidance."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = flux2_transformer(width=48)
        vae = flux2_vae()
        texts = Qwen3ForCausalLM.from_pretrained(qwen3(folder / "text_encoder"))
    Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULER),
        vae=vae,
        text_encoder=texts,
        tokenizer=Qwen2Tokenizer.from_pretrained(qwen_tokenizer(folder / "tokenizer")),
        transformer=transformer,
        is_distilled=distilled,
    ).save_pretrained(folder)
    return folder


def flux2_transformer(width: int, *, guidance: bool = False) -> Flux2Transformer2DModel:
    """A random network that reads text of so many channels. guidance: whether its scale is an input."""
    network = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=width,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guidance,
    )
    return randomised(network)


def flux2_vae() -> AutoencoderKLFlux2:
    """A random autoencoder of 4 channels at factor 8, whose normalisation is not the identity."""
    vae = AutoencoderKLFlux2(block_out_channels=(32, 32, 32, 32), layers_per_block=1, latent_channels=4)
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2.0)
    return vae


def randomised(network):
    """The network with weights of a size at which text, time and place matter to the result."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.0 * parameter.shape[-1] ** -0.5)
    return network


def authors_names(transformer: Flux2Transformer2DModel) -> dict[str, torch.Tensor]:
    """The network's tensors in the layout of Black Forest Labs' own files.

    Written from the names in published checkpoints, and not from diffusers' converter, which it serves to test.
    """
    names = {
        "x_embedder": "img_in",
        "context_embedder": "txt_in",
        "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
        "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
        "time_guidance_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
        "time_guidance_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
        "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
        "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
        "single_stream_modulation.linear": "single_stream_modulation.lin",
        "proj_out": "final_layer.linear",
    }
    inner = {
        "attn.norm_q.weight": "img_attn.norm.query_norm.scale",
        "attn.norm_k.weight": "img_attn.norm.key_norm.scale",
        "attn.to_out.0.weight": "img_attn.proj.weight",
        "ff.linear_in.weight": "img_mlp.0.weight",
        "ff.linear_out.weight": "img_mlp.2.weight",
        "attn.norm_added_q.weight": "txt_attn.norm.query_norm.scale",
        "attn.norm_added_k.weight": "txt_attn.norm.key_norm.scale",
        "attn.to_add_out.weight": "txt_attn.proj.weight",
        "ff_context.linear_in.weight": "txt_mlp.0.weight",
        "ff_context.linear_out.weight": "txt_mlp.2.weight",
    }
    single = {
        "attn.to_qkv_mlp_proj.weight": "linear1.weight",
        "attn.to_out.weight": "linear2.weight",
        "attn.norm_q.weight": "norm.query_norm.scale",
        "attn.norm_k.weight": "norm.key_norm.scale",
    }
    state, out = transformer.state_dict(), {}
    for name, value in state.items():
        block, _, rest = name.partition(".")[2].partition(".")
        if name.startswith("transformer_blocks."):
            if rest in inner:
                out[f"double_blocks.{block}.{inner[rest]}"] = value
        elif name.startswith("single_transformer_blocks."):
            out[f"single_blocks.{block}.{single[rest]}"] = value
        elif name == "norm_out.linear.weight":  # there the shift comes first
            scale, shift = value.chunk(2)
            out["final_layer.adaLN_modulation.1.weight"] = torch.cat([shift, scale])
        else:
            stem = name.removesuffix(".weight")
            out[f"{names[stem]}.weight"] = value
    for block in range(len(transformer.transformer_blocks)):
        for stream, parts in (
            ("img", ("to_q", "to_k", "to_v")),
            ("txt", ("add_q_proj", "add_k_proj", "add_v_proj")),
        ):
            fused = [state[f"transformer_blocks.{block}.attn.{part}.weight"] for part in parts]
            out[f"double_blocks.{block}.{stream}_attn.qkv.weight"] = torch.cat(fused)
    return out
