"""A tiny Stable Diffusion with cross-attention at a quarter of the latents' size, as the published has it."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from tests.tiny import tiny_model

from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore


@pytest.fixture(scope="session")
def quartered(tmp_path_factory):
    """A folder with such a model, for pictures of 256 pixels, latents of 32 and maps of 8 places a side."""
    folder = tiny_model(tmp_path_factory.mktemp("quartered"), size=256)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        unet = UNet2DConditionModel(
            sample_size=64,
            block_out_channels=(32, 32, 64, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            cross_attention_dim=64,
            attention_head_dim=8,
        )
    for name, parameters in unet.named_parameters():
        if ".attn2.to_q" in name or ".attn2.to_k" in name:
            parameters.data *= 6.0  # random attention is nearly uniform, and would mask nothing
    unet.save_pretrained(folder / "unet")
    return folder


@pytest.fixture(scope="session")
def model(quartered):
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(quartered), 256)]).get()
