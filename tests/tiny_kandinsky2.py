"""A random Kandinsky 2.2 in its real formats, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    DDPMScheduler,
    KandinskyV22Pipeline,
    KandinskyV22PriorPipeline,
    PriorTransformer,
    UnCLIPScheduler,
    UNet2DConditionModel,
    VQModel,
)
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from tests.tiny_flux2 import randomised
from tests.tiny_t5 import clip_tokenizer

WIDTH = 32
"""Features of a picture and of a text."""


def tiny_kandinsky2(folder: Path, *, inpainting: bool = False, seed: int = 0) -> tuple[Path, Path]:
    """Writes the folders of the decoder and of the prior, and returns them."""
    decoder, prior = folder / "kandinsky-2-2-decoder", folder / "kandinsky-2-2-prior"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        KandinskyV22Pipeline(
            unet=unet(9 if inpainting else 4),
            scheduler=DDPMScheduler(
                beta_schedule="linear", beta_start=0.00085, beta_end=0.012, clip_sample=False
            ),
            movq=movq(),
        ).save_pretrained(decoder)
        KandinskyV22PriorPipeline(
            prior=randomised(
                PriorTransformer(
                    num_attention_heads=2,
                    attention_head_dim=8,
                    num_layers=1,
                    embedding_dim=WIDTH,
                    num_embeddings=77,
                )
            ),
            image_encoder=CLIPVisionModelWithProjection(
                CLIPVisionConfig(
                    hidden_size=WIDTH,
                    intermediate_size=37,
                    num_hidden_layers=1,
                    num_attention_heads=2,
                    image_size=28,
                    patch_size=14,
                    projection_dim=WIDTH,
                )
            ),
            text_encoder=CLIPTextModelWithProjection(
                CLIPTextConfig(
                    vocab_size=514,
                    hidden_size=WIDTH,
                    intermediate_size=37,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    projection_dim=WIDTH,
                    bos_token_id=512,
                    eos_token_id=513,
                    pad_token_id=513,
                )
            ),
            tokenizer=clip_tokenizer(folder / "tokenizer"),
            scheduler=UnCLIPScheduler(
                variance_type="fixed_small_log",
                prediction_type="sample",
                num_train_timesteps=1000,
                clip_sample_range=5.0,
            ),
            image_processor=CLIPImageProcessor(),
        ).save_pretrained(prior)
    return decoder, prior


def unet(channels: int) -> UNet2DConditionModel:
    """channels: of its input."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=channels,
        out_channels=8,
        addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(32, 64),
        layers_per_block=1,
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=32,
        attention_head_dim=8,
        resnet_time_scale_shift="scale_shift",
        class_embed_type=None,
    )


def movq() -> VQModel:
    """Four channels at factor 2."""
    return VQModel(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    )
