"""The shapes of the embedded model's networks, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from diffusers import AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

FACTOR = 8  # pixels of a picture to one place of its latent
TOKENS = 40  # longest caption, with its two markers
TEXT_WIDTH = 128


@dataclass(frozen=True)
class Profile:
    """Sizes of the networks and the machine they are made for.

    size: side of a picture in pixels.  latent_channels: numbers at each place of a latent.  vae_width:
    channels of the autoencoder's encoder.  unet: channels at each resolution of the denoising network.
    unet_depth: blocks at each.  device: where training runs, as torch names it.  processes: data-parallel
    ones.  decoder_width: channels of the autoencoder's decoder, 0 for as many as the encoder has.
    decoder_blocks: blocks at each of its resolutions, from the latent's to the picture's.
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

    @property
    def latent_side(self) -> int:
        return self.size // FACTOR


#: `cpu` is what the package ships.  The decoder is the larger half of the autoencoder, since it runs once a
#: picture.  The 16 strongest linear readings of 8 x 8 pixels keep 27 dB of a picture,
#: 8 keep 24 dB; a network of this size comes to some 29 dB on photos.
PROFILES = {
    "cpu": Profile("cpu", 128, 16, 48, (96, 192), 1, "cpu", 2, 80, (3, 3, 3, 1)),
    "gpu": Profile("gpu", 256, 16, 64, (128, 256), 2, "cuda", 1, 96, (3, 3, 3, 1)),
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
    """Cross-attention at every resolution of the latent, 4 heads (diffusers counts heads by this name)."""
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
        attention_head_dim=4,
    )


#: Zero terminal SNR with v-prediction and trailing steps, as Lin et al. 2023 recommend.
SCHEDULER = {
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
