"""The shapes of the embedded model's networks, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.autoencoders.vq_model import VQModel
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

Network = TypeVar("Network", bound=nn.Module)

FACTOR = 8  # side of a latent's place, in pixels
TOKENS = 40  # tokens of the longest caption, with its two markers
TEXT_WIDTH = 128


@dataclass(frozen=True)
class Profile:
    """Sizes of the networks, and the machine that trains them.

    Args:
        name: The name of the profile on the command line.
        size: Side of a picture in pixels.
        latent_channels: Channels of a latent.
        vae_width: Channels of the autoencoder's encoder.
        unet: Channels at each resolution of the denoising network.
        unet_depth: Its blocks at each resolution.
        device: Where training runs, as torch names it.
        processes: Data-parallel processes.
        decoder_width: Channels of the autoencoder's decoder; 0 for those of the encoder.
        decoder_blocks: Its blocks at each resolution, from the latent's to the picture's.
        vq: Channels of the VQ model at each resolution, from the picture's to the latent's.
    """

    name: str
    size: int
    latent_channels: int
    vae_width: int
    unet: tuple[int, ...]
    unet_depth: int
    device: str
    processes: int
    decoder_width: int = 0
    decoder_blocks: tuple[int, ...] = (3, 2, 1, 1)
    vq: tuple[int, ...] = (16, 32, 64, 80)

    @property
    def latent_side(self) -> int:
        return self.size // FACTOR


#: The package's bundle has the profile `cpu`.  The decoder is the larger half of the autoencoder, since it
#: runs only once for each picture.  The 16 strongest principal components of 8 x 8 pixels keep 27 dB of a
#: picture, 8 keep 24 dB; a network of this size reaches about 29 dB on photos.
PROFILES = {
    "cpu": Profile("cpu", 128, 16, 48, (96, 192), 1, "cpu", 2, 80, (3, 3, 3, 1)),
    "gpu": Profile("gpu", 256, 16, 64, (128, 256), 2, "cuda", 1, 96, (3, 3, 3, 1), (32, 64, 96, 128)),
}


def make_autoencoder(profile: Profile) -> AutoencoderTiny:
    """Pictures (3, size, size) in -1..1 <-> latents (latent_channels, size / 8, size / 8)."""
    levels = len(profile.decoder_blocks)
    return AutoencoderTiny(
        encoder_block_out_channels=(profile.vae_width,) * levels,
        decoder_block_out_channels=(profile.decoder_width or profile.vae_width,) * levels,
        latent_channels=profile.latent_channels,
        num_encoder_blocks=(0, 1, 2, 3),
        num_decoder_blocks=profile.decoder_blocks,
    )


def make_vq(profile: Profile) -> VQModel:
    """Pictures (3, size, size) in -1..1 <-> latents (8, size / 8, size / 8), each of one of 1024 codes."""
    channels = profile.vq
    return VQModel(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=1,
        latent_channels=32,
        sample_size=profile.size,
        num_vq_embeddings=1024,
        norm_num_groups=8,
        vq_embed_dim=8,
        mid_block_add_attention=False,  # any size of picture: every place reads its surroundings only
    )


def make_text_encoder(vocabulary: int, start: int, end: int) -> CLIPTextModel:
    """Token ids (B, TOKENS) -> (B, TOKENS, TEXT_WIDTH)."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


def make_unet(profile: Profile) -> UNet2DConditionModel:
    """A denoising network with cross-attention of 4 heads at every resolution of the latent."""
    levels = len(profile.unet)
    return UNet2DConditionModel(
        sample_size=profile.latent_side,
        in_channels=profile.latent_channels,
        out_channels=profile.latent_channels,
        layers_per_block=profile.unet_depth,
        block_out_channels=profile.unet,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # diffusers' name for the number of heads
    )


#: Side of the patch of pixels that the pixel-space network sees as one place (Hoogeboom et al. 2023, "Simple
#: diffusion", section 3.3).  With 2, networks of this size train two to three times as fast as with 1.
PIXEL_PATCH = 2
PIXEL_CHANNELS = (64, 72, 96)


def make_pixel_unet(size: int) -> UNet2DModel:
    """An unconditional denoising network of pictures (3 PIXEL_PATCH^2, size / PIXEL_PATCH, the same).

    It attends at the coarsest of its three resolutions only.
    """
    channels = 3 * PIXEL_PATCH**2
    return UNet2DModel(
        sample_size=size // PIXEL_PATCH,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=PIXEL_CHANNELS,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=32,
        norm_num_groups=8,
    )


def channels_last(network: Network, device: torch.device) -> Network:
    """Move a network to a device and its weights to channels-last order, which speeds up convolutions."""
    module: nn.Module = network
    order = torch.channels_last
    module.to(device, memory_format=order)  # pyright: ignore[reportCallIssue]: missing in torch's stub
    return network


#: Zero terminal SNR with v-prediction and trailing steps, as Lin et al. 2023 recommend.
SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 1,
}

#: The cosine schedule (Nichol & Dhariwal 2021), which was made for pictures of 64 x 64 pixels.
PIXEL_SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
}
