"""CLIP and T5 as Stable Diffusion 3 and FLUX.1 have them, and their autoencoder, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from tests.tiny import tiny_tokenizer

WORDS = "a the red blue cat dog hat with of in photo beard make it".split()
WIDTH = 128  # of T5, and of what the transformers read
LETTERS = "abcdefghijklmnopqrstuvwxyz ,.'0123456789"


def t5_tokenizer() -> T5Tokenizer:
    """A Unigram vocabulary of a few words and the letters, in T5's form: no start mark, `</s>` at the end."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(letter, -3.0) for letter in LETTERS] + [("▁" + word, -1.0) for word in WORDS]
    return T5Tokenizer(vocab=pieces, extra_ids=4, model_max_length=512)


def t5_encoder() -> T5EncoderModel:
    """T5 v1.1: gated, without biases, its first layer's relative positions for all."""
    config = T5Config(
        vocab_size=128,
        d_model=WIDTH,
        d_kv=32,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        tie_word_embeddings=False,
    )
    return T5EncoderModel(config)


def clip_encoder(*, projected: bool, act: str = "quick_gelu") -> CLIPTextModel | CLIPTextModelWithProjection:
    """CLIP of one head of 64 channels. projected: with the projection of its pooled vector."""
    config = CLIPTextConfig(
        vocab_size=514,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=1,
        max_position_embeddings=77,
        projection_dim=64,
        hidden_act=act,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer of 256 bytes."""
    return CLIPTokenizer.from_pretrained(tiny_tokenizer(folder))


def autoencoder(scaling: float, shift: float) -> AutoencoderKL:
    """One of 16 channels at factor 8, without the convolutions beside the latents.

    Its posterior has no spread, for diffusers' pipelines draw from it and ours takes its mean."""
    network = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=16,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    with torch.no_grad():
        network.encoder.conv_out.weight[16:] = 0.0
        network.encoder.conv_out.bias[16:] = -30.0
    return network


def randomised(network):
    """The network with weights of a size at which text, time and place matter to the result."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        elif not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network
