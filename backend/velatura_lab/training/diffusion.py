"""Training of text encoder and denoising network on the autoencoder's latents."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import nn
from transformers import CLIPTextModel

from velatura_lab.world import KINDS

from .captions import load_captions
from .data import KIND_NAMES, load_dataset
from .latents import encode_share
from .loop import Trainer
from .maps import maps_loss, record_maps
from .networks import SCHEDULER, channels_last, make_unet
from .options import Options
from .precision import mixed
from .text import make_text, school_text_encoder, word_marks
from .warm import UNET_GROW, warm_start
from .weak import picture_weights

MAP_WEIGHT = 0.1
TEXT_RATE = 0.3  # learning rate of the text encoder, relative to that of the denoising network
#: For each kind, whether its captions never tell left from right and thus fit mirrored pictures too.
SIDELESS = np.array(["left" not in KINDS[kind].vocabulary() for kind in KIND_NAMES])
WARM_SCHOOL_RATE = 5e-4  # learning rate of a text encoder that begins with a bundle's weights


def stratified_times(batch: int, count: int) -> torch.Tensor:
    """Steps (batch,), one from each equal part of 0..count-1, so that each batch has all noise levels."""
    return ((torch.arange(batch) + torch.rand(batch)) * (count / batch)).long()


def velocity(
    x0: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noised latents and the target v = sqrt(a) eps - sqrt(1 - a) x0 (Salimans & Ho 2022)."""
    signal, sigma = alpha_bar.sqrt().view(-1, 1, 1, 1), (1.0 - alpha_bar).sqrt().view(-1, 1, 1, 1)
    return signal * x0 + sigma * noise, signal * noise - sigma * x0


def latent_scaling(latents: torch.Tensor, processes: int) -> float:
    """The factor that gives the latents of all processes unit variance."""
    variance = latents.float().var()
    if processes > 1:
        dist.all_reduce(variance)
    return float((variance / processes).rsqrt())


def make_networks(options: Options, rank: int) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Denoising network and pretrained text encoder, with a bundle's weights where they fit."""
    unet = make_unet(options.profile)
    warm_start(unet, options.start, "unet", UNET_GROW)
    wording, text, warm = make_text(options.work, options.start)
    if rank == 0 and not (options.work / "diffusion.pt").exists():
        rate = WARM_SCHOOL_RATE if warm else 2e-3
        school_text_encoder(text, wording, options.seed, options.school, rate)
    return channels_last(unet, options.device), text


def train_diffusion(options: Options, rank: int) -> None:
    """Predict v at stratified times, with supervised cross-attention maps of words.

    Pictures of attributes that the first bundle draws wrong are shown more often (`picture_weights`).
    """
    device = options.device
    data = load_dataset(options.work, options.seed, options.pictures, options.drawers, options.profile.size)
    latents = encode_share(data, options, rank)
    scaling = latent_scaling(latents, options.processes)
    latents = latents.to(device)
    captions = load_captions(data, options.work, options.drawers)
    mine = np.arange(rank, len(data), options.processes)
    sideless = SIDELESS[data.kinds[mine]]
    weights = picture_weights(data, mine, options.start)
    masks = torch.from_numpy(np.ascontiguousarray(data.masks[mine])).to(device)
    unet, text = make_networks(options, rank)
    both = nn.ModuleDict({"unet": unet, "text": text}).to(device).train()
    groups = [
        {"params": list(unet.parameters()), "scale": 1.0},
        {"params": list(text.parameters()), "scale": TEXT_RATE},
    ]
    trainer = Trainer(
        "diffusion",
        both,
        options,
        rank,
        groups=groups,
        decay=0.999,
        beta2=0.99,
        weight_decay=0.01,
        record={"scaling": scaling},
    )
    alphas = DDIMScheduler(**SCHEDULER).alphas_cumprod.to(device)
    with record_maps(unet) as maps:
        while trainer.progress.running:
            rng = trainer.random()
            pick = rng.choice(len(mine), options.batch, p=weights)
            tokens, classes = captions.draw(mine[pick], rng)
            chosen = torch.from_numpy(pick).to(device)
            mirrored = torch.from_numpy(rng.integers(2, size=options.batch) * sideless[pick]).to(device)
            x0 = latents[chosen, mirrored].float() * scaling
            shares = masks[chosen].float() / 255.0
            shares = torch.where(mirrored.view(-1, 1, 1, 1) == 1, shares.flip(3), shares)
            times = stratified_times(options.batch, len(alphas)).to(device)
            noisy, target = velocity(x0, torch.randn_like(x0), alphas[times])
            maps.clear()
            with mixed(device):
                context = text(tokens.to(device)).last_hidden_state
                output = unet(noisy.contiguous(memory_format=torch.channels_last), times, context).sample
            denoising = F.mse_loss(output.float(), target)
            pointing = maps_loss(maps, shares, word_marks(classes).to(device))
            loss = denoising + MAP_WEIGHT * pointing
            trainer.step(loss, {"denoising": denoising, "maps": pointing})
    trainer.save()
