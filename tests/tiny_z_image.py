"""A random Z-Image in its real formats, small enough for a test."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import Qwen2Tokenizer, Qwen3Model

from tests.tiny_flux2 import randomised
from tests.tiny_texts import qwen3, qwen_tokenizer


def tiny_z_image(folder: Path, *, seed: int = 0) -> Path:
    """Writes a diffusers folder of Z-Image and returns it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = z_image_transformer()
        vae = AutoencoderKL(
            block_out_channels=(32, 32, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=16,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
        texts = Qwen3Model.from_pretrained(qwen3(folder / "text_encoder", layers=4))
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=texts,
        tokenizer=Qwen2Tokenizer.from_pretrained(qwen_tokenizer(folder / "tokenizer")),
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def z_image_transformer() -> ZImageTransformer2DModel:
    """A random network."""
    network = ZImageTransformer2DModel(
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[4, 6, 6],
        axes_lens=[1536, 512, 512],
    )
    return randomised(network, 0.6)


def authors_names(transformer: ZImageTransformer2DModel) -> dict[str, torch.Tensor]:
    """The network's tensors in the layout of the authors' own files, with queries, keys and values as one."""
    state, out = transformer.state_dict(), {}
    for name, value in state.items():
        new = re.sub(r"^all_(x_embedder|final_layer)\.2-1\.", r"\1.", name)
        new = (
            new.replace(".to_out.0.", ".out.").replace(".norm_q.", ".q_norm.").replace(".norm_k.", ".k_norm.")
        )
        if ".to_q." in name:
            fused = [state[name.replace("to_q", part)] for part in ("to_q", "to_k", "to_v")]
            out[new.replace("to_q", "qkv")] = torch.cat(fused)
        elif ".to_k." not in name and ".to_v." not in name:
            out[new] = value
    return out
