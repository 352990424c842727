"""Training of text encoder and denoising network on the autoencoder's latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers import AutoencoderTiny, DDIMScheduler
from torch import nn
from tqdm import trange

from velatura.world import Caption

from .data import Dataset, load_dataset
from .loop import Ema, Options, Progress, load_checkpoint, save_checkpoint
from .maps import maps_loss, record_maps
from .networks import SCHEDULER, make_autoencoder, make_unet
from .text import make_text, school_text_encoder

MAP_WEIGHT = 0.1
CAPTION_DROPOUT = 0.12  # for classifier-free guidance (Ho & Salimans 2021)
TEXT_RATE = 0.3  # learning rate of the text encoder, relative to the denoising network's


def load_autoencoder(work: Path) -> tuple[AutoencoderTiny, int]:
    """The trained autoencoder with averaged weights and the finished decoder, if any; its samples."""
    state = load_checkpoint(work / "autoencoder.pt")
    if state is None:
        raise FileNotFoundError(
            f"no trained autoencoder in {work}; run `python -m velatura.training autoencoder` first"
        )
    vae = make_autoencoder()
    vae.load_state_dict(state["ema"])
    finished = load_checkpoint(work / "decoder.pt")
    if finished is not None:
        vae.decoder.load_state_dict(finished["ema"])
    return vae.eval().requires_grad_(False), state["samples"]


@torch.no_grad()
def encode_share(data: Dataset, options: Options, rank: int) -> torch.Tensor:
    """Latents (n, 2, 8, 16, 16) of this process's pictures, as drawn and mirrored, float16; cached."""
    vae, trained = load_autoencoder(options.work)
    path = options.work / f"latents-{trained}-{len(data)}-{rank}of{options.processes}.pt"
    if path.exists():
        return torch.load(path, weights_only=True)
    vae = vae.to(memory_format=torch.channels_last)
    mine = np.arange(rank, len(data), options.processes)
    chunks = []
    for first in trange(0, len(mine), 32, desc="encoding", disable=rank != 0, mininterval=5.0):
        images = data.images(mine[first : first + 32]) * 2.0 - 1.0
        both = torch.cat([images, images.flip(3)]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents = vae.encode(both).latents
        chunks.append(torch.stack(latents.half().chunk(2), 1).contiguous())
    latents = torch.cat(chunks)
    torch.save(latents, path)
    return latents


def stratified_times(batch: int, count: int) -> torch.Tensor:
    """`batch` steps, one from each equal part of 0..count-1, so that every batch sees all noise levels."""
    return ((torch.arange(batch) + torch.rand(batch)) * (count / batch)).long()


def velocity(
    x0: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noised latents and the target v = sqrt(a) eps - sqrt(1 - a) x0 (Salimans & Ho 2022)."""
    signal, sigma = alpha_bar.sqrt().view(-1, 1, 1, 1), (1.0 - alpha_bar).sqrt().view(-1, 1, 1, 1)
    return signal * x0 + sigma * noise, signal * noise - sigma * x0


def train_diffusion(options: Options, rank: int) -> None:
    data = load_dataset(options.work, options.seed, options.pictures, options.processes)
    latents = encode_share(data, options, rank)
    variance = latents.float().var()
    dist.all_reduce(variance)
    scaling = float((variance / options.processes).rsqrt())
    mine = np.arange(rank, len(data), options.processes)
    visible = [data.visible(index) for index in mine]
    scenes = Dataset(data.seed, data.pictures, np.ascontiguousarray(data.masks[mine]))

    wording, text = make_text(options.work)
    unet = make_unet().to(memory_format=torch.channels_last)
    both = nn.ModuleDict({"unet": unet, "text": text})
    state = load_checkpoint(options.work / "diffusion.pt") or {"samples": 0, "seconds": 0.0}
    if "model" in state:
        both.load_state_dict(state["model"])
    else:
        if rank == 0:
            school_text_encoder(text, wording, options.seed, options.school)
        for parameter in both.parameters():
            dist.broadcast(parameter.data, 0)
    optimiser = torch.optim.AdamW(
        [{"params": unet.parameters(), "scale": 1.0}, {"params": text.parameters(), "scale": TEXT_RATE}],
        options.rate,
        betas=(0.9, 0.99),
        weight_decay=0.01,
        fused=True,
    )
    ema = Ema(both, 0.999)
    if "ema" in state:
        optimiser.load_state_dict(state["optimiser"])
        ema.state, ema.count = {k: state["ema"][k] for k in ema.state}, state["count"]
    alphas = DDIMScheduler(**SCHEDULER).alphas_cumprod
    progress = Progress(options, rank, state["samples"], state["seconds"])
    rng = np.random.default_rng([options.seed, rank, progress.samples])
    torch.manual_seed(options.seed * 1000 + rank + 17 * progress.samples)
    parameters = list(both.parameters())

    def save() -> None:
        save_checkpoint(
            options.work / "diffusion.pt",
            {
                "model": both.state_dict(),
                "ema": ema.full_state(),
                "count": ema.count,
                "scaling": scaling,
                "optimiser": optimiser.state_dict(),
                "samples": progress.samples,
                "seconds": progress.seconds,
            },
        )

    both.train()
    with record_maps(unet) as maps:
        while progress.running:
            pick = rng.integers(len(mine), size=options.batch)
            mirrored = torch.from_numpy(rng.integers(2, size=options.batch))
            x0 = latents[torch.from_numpy(pick), mirrored].float() * scaling
            shares = scenes.shares(pick)
            shares = torch.where(mirrored.view(-1, 1, 1, 1) == 1, shares.flip(3), shares)
            captions = [
                Caption(()) if rng.random() < CAPTION_DROPOUT else data.caption(int(mine[k]), rng, visible[k])
                for k in pick
            ]
            times = stratified_times(options.batch, len(alphas))
            noisy, target = velocity(x0, torch.randn_like(x0), alphas[times])
            maps.clear()
            with torch.autocast("cpu", torch.bfloat16):
                context = text(wording.tokens(captions)).last_hidden_state
                output = unet(noisy.contiguous(memory_format=torch.channels_last), times, context).sample
            denoising = F.mse_loss(output.float(), target)
            pointing = maps_loss(maps, shares, wording.words(captions))
            optimiser.zero_grad()
            (denoising + MAP_WEIGHT * pointing).backward()
            for group in optimiser.param_groups:
                group["lr"] = options.rate * group["scale"] * progress.rate()
            progress.step(parameters, {"denoising": denoising.detach(), "maps": pointing.detach()})
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            ema.update()
            if progress.save_due(180.0):
                save()
    if rank == 0:
        save()
