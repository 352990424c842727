"""Finishing the decoder with the encoder held: latents, and all that was trained on them, stay valid."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .autoencoder import pixel_weights, reconstruction_losses
from .data import load_dataset
from .diffusion import encode_share, load_autoencoder
from .loop import Ema, Options, Progress, load_checkpoint, save_checkpoint

NOISE = 0.12  # of the latents: about the error a denoising network leaves


def train_decoder(options: Options, rank: int) -> None:
    """The autoencoder's losses with more weight on edges, from latents that are ready."""
    data = load_dataset(options.work, options.seed, options.pictures, options.processes)
    latents = encode_share(data, options, rank)
    decoder = (
        load_autoencoder(options.work)[0].decoder.to(memory_format=torch.channels_last).requires_grad_(True)
    )
    state = load_checkpoint(options.work / "decoder.pt") or {"samples": 0, "seconds": 0.0}
    ema = Ema(decoder, 0.998)
    parameters = list(decoder.parameters())
    optimiser = torch.optim.AdamW(parameters, options.rate, betas=(0.9, 0.98), weight_decay=1e-4, fused=True)
    if "model" in state:
        decoder.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        ema.state, ema.count = {k: state["ema"][k] for k in ema.state}, state["count"]
    progress = Progress(options, rank, state["samples"], state["seconds"])
    rng = np.random.default_rng([options.seed, rank, progress.samples])
    mine = np.arange(rank, len(data), options.processes)

    def save() -> None:
        save_checkpoint(
            options.work / "decoder.pt",
            {
                "model": decoder.state_dict(),
                "ema": ema.full_state(),
                "count": ema.count,
                "optimiser": optimiser.state_dict(),
                "samples": progress.samples,
                "seconds": progress.seconds,
            },
        )

    while progress.running:
        pick = rng.integers(len(mine), size=options.batch)
        mirrored = int(rng.integers(2))
        images, shares = data.images(mine[pick]) * 2.0 - 1.0, data.shares(mine[pick])
        if mirrored:
            images, shares = images.flip(3), shares.flip(3)
        z = latents[torch.from_numpy(pick), mirrored].float()
        z = z + NOISE * torch.rand(len(pick), 1, 1, 1) * torch.randn_like(z)
        with torch.autocast("cpu", torch.bfloat16):
            output = decoder(z.contiguous(memory_format=torch.channels_last))
        losses = reconstruction_losses(output.float(), images, pixel_weights(shares))
        optimiser.zero_grad()
        (losses["pixel"] + losses["edge"] + losses["colour"]).backward()
        for group in optimiser.param_groups:
            group["lr"] = options.rate * progress.rate(decay_from=0.2)
        progress.step(parameters, {name: value.detach() for name, value in losses.items()})
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        ema.update()
        if progress.save_due():
            save()
    if rank == 0:
        save()
