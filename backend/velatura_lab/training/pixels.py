"""Training of a small unconditional diffusion model of pictures, in pixel space."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from .data import load_dataset
from .diffusion import stratified_times, velocity
from .loop import Trainer, load_checkpoint
from .networks import PIXEL_PATCH, PIXEL_SCHEDULER, channels_last, make_pixel_unet
from .options import Options
from .precision import mixed


def train_pixels(options: Options, rank: int) -> None:
    """Predict v of drawn pictures, half of them mirrored, at stratified times (Salimans & Ho 2022).

    The network sees each patch of pixels as one place with more channels (`PIXEL_PATCH`).
    """
    device, size = options.device, options.profile.size
    data = load_dataset(options.work, options.seed, options.pictures, options.drawers, size, options.kind)
    data = data.resident(device)
    unet: UNet2DModel = channels_last(make_pixel_unet(size), device).train()
    trainer = Trainer("pixels", unet, options, rank, decay=0.999, beta2=0.99, weight_decay=0.01)
    alphas = DDIMScheduler(**PIXEL_SCHEDULER).alphas_cumprod.to(device)
    mine = np.arange(rank, len(data), options.processes)
    while trainer.progress.running:
        rng = trainer.random()
        images = data.images(mine[rng.integers(len(mine), size=options.batch)]).to(device) * 2.0 - 1.0
        turned = torch.from_numpy(rng.random(options.batch) < 0.5).to(device).view(-1, 1, 1, 1)
        x0 = F.pixel_unshuffle(torch.where(turned, images.flip(3), images), PIXEL_PATCH)
        times = stratified_times(options.batch, len(alphas)).to(device)
        noisy, target = velocity(x0, torch.randn_like(x0), alphas[times])
        with mixed(device):
            output = unet(noisy.contiguous(memory_format=torch.channels_last), times).sample
        loss = F.mse_loss(output.float(), target)
        trainer.step(loss, {"denoising": loss})
    trainer.save()


def export_pixels(work: Path, folder: Path) -> None:
    """Write the averaged weights in half precision, as diffusers' DDPMPipeline stores a model.

    Raises:
        FileNotFoundError: `work` has no trained model of pixels.
    """
    state = load_checkpoint(work / "pixels.pt")
    if state is None:
        raise FileNotFoundError(f"no trained model of pixels in {work}; run `velatura train pixels` first")
    unet = make_pixel_unet(state["profile"]["size"])
    unet.load_state_dict(state["ema"])
    unet.half().save_pretrained(folder / "unet", safe_serialization=True)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").chmod(0o644)
    (folder / "scheduler").mkdir(exist_ok=True)
    scheduler = {"_class_name": "DDIMScheduler", "_diffusers_version": "0.30.0", **PIXEL_SCHEDULER}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler, indent=2) + "\n")
    index = {
        "_class_name": "DDPMPipeline",
        "_diffusers_version": "0.30.0",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
