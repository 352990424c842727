"""A random style-based generator with all the parts that one can have, small enough for a test.

The networks are real, so code that works with them works with every generator of the family.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderTiny

from velatura.models.families.style_encoder import Encoder
from velatura.models.families.style_files import Parts, write
from velatura.models.families.style_generator import Styled
from velatura.models.families.style_segmentation import Segmentation
from velatura.models.families.stylegan2 import Shape, StyleGAN2

PARTS = ("background", "face", "hair", "hat")
LABELS = ("age", "hat=beanie", "hat=none", "smile", "turn")


def tiny_parts(
    seed: int = 0,
    latents: bool = False,
    encoder: bool = True,
    segmentation: bool = True,
    *,
    size: int = 32,
) -> Parts:
    """A random generator. The same arguments give the same weights.

    Args:
        seed: of the weights.
        latents: whether it makes latents [4, size / 4, size / 4] from labels alone, as the embedded one does;
            otherwise it makes pictures from z.
        encoder, segmentation: whether it has them.
        size: of its pictures, a power of two from 16 on.
    """
    levels = size.bit_length() - (4 if latents else 2)
    shape = Shape(
        z_dim=0 if latents else 16,
        c_dim=len(LABELS) if latents else 0,
        w_dim=16,
        channels=(16, 12, 8, 8, 8, 8)[:levels],
        img_channels=4 if latents else 3,
        mapping_layers=2,
        lr_multiplier=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = StyleGAN2(shape)
        labels = torch.rand(64, len(LABELS)) * 2.0 - 1.0 if latents else None
        with torch.no_grad():
            for name, value in generator.named_parameters():
                if name.endswith("noise_strength"):
                    value.fill_(0.1)
                if "torgb.weight" in name:
                    value.mul_(0.3)  # so that most colours are in the range of a picture
            z = torch.randn(64, shape.z_dim)
            generator.mapping.w_avg.copy_(generator.mapping(z, labels).mean(0))
        return Parts(
            shape=shape,
            size=size,
            generator=generator,
            labels=labels,
            label_names=LABELS if latents else (),
            mean=torch.tensor([0.1, -0.1, 0.0, 0.2]) if latents else None,
            std=torch.tensor([0.5, 0.4, 0.6, 0.5]) if latents else None,
            decoder=_decoder() if latents else None,
            encoder=_encoder(size, shape) if encoder else None,
            segmentation=Segmentation(shape.channels, len(PARTS), width=8) if segmentation else None,
            parts=PARTS if segmentation else (),
        )


def tiny_model(
    seed: int = 0,
    latents: bool = False,
    encoder: bool = True,
    segmentation: bool = True,
    *,
    size: int = 32,
    dtype: torch.dtype = torch.float32,
) -> Styled:
    """The same, loaded; its digest follows from the arguments."""
    parts = tiny_parts(seed, latents, encoder, segmentation, size=size)
    digest = f"tiny-styles-{seed}-{latents}-{encoder}-{segmentation}-{size}"
    return Styled("tiny-styles", digest, parts, torch.device("cpu"), dtype)


def tiny_styles(folder: Path, seed: int = 0, latents: bool = False, *, size: int = 32) -> Path:
    """Writes the folder of such a generator and returns it."""
    write(folder, tiny_parts(seed, latents, size=size))
    return folder


def _encoder(size: int, shape: Shape) -> Encoder:
    """An encoder whose layers differ, as in a trained one."""
    encoder = Encoder(size, shape.num_ws, shape.w_dim, (8, 8, 8))
    torch.nn.init.normal_(encoder.offsets, std=0.1)
    return encoder


def _decoder() -> AutoencoderTiny:
    """An autoencoder with a factor of 4."""
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        latent_channels=4,
    )
