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
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2.0)
    return vae


def randomised(network):
    """The network with weights of a size at which text, time and place matter to the result."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.0 * parameter.shape[-1] ** -0.5)
    return network
