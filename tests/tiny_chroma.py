"""A random Chroma in its real formats, small enough for a test."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import ChromaPipeline, ChromaTransformer2DModel, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from tests.tiny_flux1 import DEV
from tests.tiny_flux1 import authors_names as of_flux1
from tests.tiny_flux2 import randomised as small
from tests.tiny_t5 import WIDTH, autoencoder, randomised, t5_encoder, t5_tokenizer


def tiny_chroma(folder: Path, *, seed: int = 0) -> Path:
    """Writes a diffusers folder of Chroma and returns it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = ChromaPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(**DEV),
            vae=autoencoder(0.3611, 0.1159),
            text_encoder=randomised(t5_encoder()),
            tokenizer=t5_tokenizer(),
            transformer=transformer(),
        )
    pipeline.save_pretrained(folder)
    return folder


def transformer() -> ChromaTransformer2DModel:
    """Two heads of 32 channels, a block of two streams and two of one."""
    network = ChromaTransformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 14, 14),
        approximator_num_channels=32,
        approximator_hidden_dim=48,
        approximator_layers=2,
    )
    return small(network, 0.6)


def authors_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The transformer's tensors in its authors' layout."""
    own = {name: value for name, value in state.items() if name.startswith("distilled_guidance_layer.")}
    new = of_flux1({name: value for name, value in state.items() if name not in own})
    for name, value in own.items():
        name = re.sub(r"norms\.(\d+)\.weight", r"norms.\1.scale", name)
        new[name.replace(".linear_1.", ".in_layer.").replace(".linear_2.", ".out_layer.")] = value
    return new
