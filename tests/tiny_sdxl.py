"""A random model with the parts and files of Stable Diffusion XL, small enough for a test, and networks of
Stable Diffusion with other inputs."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.tiny import SCHEDULER, tiny_model, tiny_tokenizer

POOLED, SIZES = 32, 8
"""Features of the pooled vector, and those of each of the six sizes."""
NOISY_LEVELS = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
"""Of a scheduler, as the children of Stable Diffusion XL have that are trained on pure noise."""


def tiny_sdxl(folder: Path, vae: str = "tiny", *, seed: int = 0, **scheduler: object) -> Path:
    """Writes a diffusers folder and returns it.

    vae: see `tiny_model`. scheduler: other entries of its configuration. Its pictures have 64 pixels a side.
    """
    tiny_model(folder, vae, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        unet_xl().save_pretrained(folder / "unet")
        first_encoder(514).save_pretrained(folder / "text_encoder")
        second_encoder(514).save_pretrained(folder / "text_encoder_2")
    tiny_tokenizer(folder / "tokenizer_2")
    config = json.loads((folder / "tokenizer_2" / "tokenizer_config.json").read_text())
    (folder / "tokenizer_2" / "tokenizer_config.json").write_text(json.dumps(config | {"pad_token": "!"}))
    told = SCHEDULER | {"_class_name": "EulerDiscreteScheduler"} | scheduler
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(told))
    index = json.loads((folder / "model_index.json").read_text())
    index |= {
        "_class_name": "StableDiffusionXLPipeline",
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "force_zeros_for_empty_prompt": True,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def unet_xl(channels: tuple[int, ...] = (32, 64), **more: object) -> UNet2DConditionModel:
    """A UNet with no attention at its first level and two layers of it at the last. more: other values."""
    last = len(channels) - 1
    return UNet2DConditionModel(
        **{
            "sample_size": 8,
            "block_out_channels": channels,
            "layers_per_block": 1,
            "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * last),
            "up_block_types": (*("CrossAttnUpBlock2D",) * last, "UpBlock2D"),
            "transformer_layers_per_block": [1, *range(2, last + 2)],
            "attention_head_dim": [max(1, c // 64) for c in channels],
            "use_linear_projection": True,
            "cross_attention_dim": 64 + 128,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": SIZES,
            "projection_class_embeddings_input_dim": POOLED + 6 * SIZES,
            **more,
        }
    )


def first_encoder(vocabulary: int) -> CLIPTextModel:
    """The first text encoder, as CLIP's."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=3,
            num_attention_heads=1,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def second_encoder(vocabulary: int) -> CLIPTextModelWithProjection:
    """The second text encoder, as OpenCLIP's."""
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=128,
            intermediate_size=128,
            projection_dim=POOLED,
            num_hidden_layers=3,
            num_attention_heads=2,
            hidden_act="gelu",
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=0,
        )
    )


def vae_of_files() -> AutoencoderKL:
    """An autoencoder in the form that files hold."""
    return AutoencoderKL(
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        scaling_factor=0.13025,
    )


def with_unet(folder: Path, *, seed: int = 5, **changes: object) -> Path:
    """Gives a folder's model another random UNet, with these changes of its configuration; the folder."""
    config = json.loads((folder / "unet" / "config.json").read_text())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_config(config | changes)
    unet.save_pretrained(folder / "unet")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_diffusers_version": "0.42.1"}))
    return folder
