"""Training of the VQ model: pictures (3, 128, 128) to codes on a grid of 16 x 16, and back."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers.models.autoencoders.vq_model import VQModel
from torch import Tensor, nn

from velatura.bundles import BUNDLES

from .autoencoder import moment_loss, reconstruction_losses, training_batch, weight_table
from .critic import Features, perceptual_loss
from .data import load_dataset
from .loop import Trainer, load_checkpoint
from .networks import Profile, channels_last, make_vq
from .options import Options
from .precision import mixed

BUNDLE = BUNDLES / "velatura-vq"
PLAIN = 0.1  # progress up to which the decoder reads latents that are not quantised
RENEWED = 0.7  # progress up to which codes that nothing uses are replaced
DECAY = 0.99  # of the codes' moving averages
RARE = 0.02  # mean uses in a step below which a code counts as unused
COMMITMENT = 0.25  # weight beta of the commitment loss
PERCEPTUAL = 0.05  # weight of the features' difference, relative to the pixels'


class Quantised(NamedTuple):
    """Latents in the place of which a decoder reads codes.

    Args:
        values: (B, D, h, w), the nearest codes, with the gradient of the latents.
        codes: (B * h * w,), their numbers.
        commitment: mean square distance of the latents from their codes.
    """

    values: Tensor
    codes: Tensor
    commitment: Tensor


class Codebook(nn.Module):
    """A codebook that follows the latents by moving averages (van den Oord et al. 2017, appendix A.1).

    A code that no latent is nearest to for long takes the place of a random latent of the batch.

    Args:
        codes: (K, D), the codes, which it changes in place.
    """

    uses: Tensor
    sums: Tensor

    def __init__(self, codes: nn.Parameter) -> None:
        super().__init__()
        object.__setattr__(self, "codes", codes.requires_grad_(False))  # no parameter of this module
        self.codes: nn.Parameter
        self.register_buffer("uses", torch.ones(len(codes)))  # N_i
        self.register_buffer("sums", codes.detach().clone())  # m_i

    def forward(self, latents: Tensor) -> Quantised:
        """Latents (B, D, h, w) with their nearest codes."""
        rows = latents.movedim(1, -1)
        flat = rows.flatten(0, -2)
        codes = torch.cdist(flat.detach(), self.codes).argmin(1)
        nearest = self.codes[codes].view_as(rows)
        values = (rows + (nearest - rows).detach()).movedim(-1, 1)
        return Quantised(values, codes, F.mse_loss(rows, nearest))

    @torch.no_grad()
    def follow(self, latents: Tensor, codes: Tensor, renew: bool) -> None:
        """Move each code towards the mean of its latents, over all processes.

        Args:
            latents: (B, D, h, w).
            codes: (B * h * w,), the nearest codes of the latents.
            renew: whether to replace codes that are not used.
        """
        flat = latents.movedim(1, -1).flatten(0, -2)
        count, width = self.codes.shape
        step = flat.new_zeros(count, 1 + width)
        step.index_add_(0, codes, torch.cat([torch.ones_like(flat[:, :1]), flat], 1))
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(step)
        self.uses.lerp_(step[:, 0], 1.0 - DECAY)
        self.sums.lerp_(step[:, 1:], 1.0 - DECAY)
        unused = torch.nonzero(self.uses < RARE).flatten() if renew else None
        if unused is not None and len(unused):
            picked = flat[torch.randint(len(flat), (len(unused),))]
            if dist.is_initialized() and dist.get_world_size() > 1:
                dist.broadcast(picked, 0)
            self.uses[unused] = 1.0
            self.sums[unused] = picked
        used = self.uses > 1e-3
        self.codes[used] = self.sums[used] / self.uses[used, None]


def train_vq(options: Options, rank: int) -> None:
    """A VQ-VAE (van den Oord et al. 2017) with the losses of the autoencoder and one on the judge's features.

    The decoder reads plain latents at first, so that latents already mean something when codes replace them.
    """
    device, profile = options.device, options.profile
    data = load_dataset(options.work, options.seed, options.pictures, options.drawers, profile.size)
    data = data.resident(device)
    torch.manual_seed(options.seed)
    vq = make_vq(profile)
    codebook = Codebook(cast(nn.Parameter, vq.quantize.embedding.weight))
    # not channels-last: torch's gradient of group normalisation is then slow on a CPU
    both = nn.ModuleDict({"vq": vq, "codebook": codebook}).to(device)
    features = channels_last(Features(), device)
    trainer = Trainer("vq", both, options, rank, averaged=vq)
    table = weight_table().to(device)
    mine = np.arange(rank, len(data), options.processes)
    while trainer.progress.running:
        rng = trainer.random()
        pick = mine[rng.integers(len(mine), size=options.batch)]
        images, _, weight = training_batch(data, pick, rng.random() < 0.5, table)
        images, fraction = images.contiguous(), trainer.progress.fraction
        with mixed(device):
            latents = vq.encode(images, return_dict=False)[0]
        latents = latents.float()
        quantised = codebook(latents)
        z = quantised.values if fraction > PLAIN else latents
        with mixed(device):
            output = vq.decode(z, force_not_quantize=True, return_dict=False)[0]
            with torch.no_grad():
                drawn = features(images)
            decoded = features(output)
        losses = reconstruction_losses(output.float(), images, weight)
        losses["perceptual"] = perceptual_loss(decoded, drawn)
        losses["moments"] = moment_loss(latents)
        losses["commitment"] = quantised.commitment
        loss = losses["pixel"] + 0.8 * losses["edge"] + losses["colour"] + PERCEPTUAL * losses["perceptual"]
        loss = loss + 0.05 * losses["moments"]
        if fraction > PLAIN:
            loss = loss + COMMITMENT * losses["commitment"]
        codebook.follow(latents.detach(), quantised.codes, renew=fraction < RENEWED)
        losses["used"] = (codebook.uses > RARE).float().mean()
        trainer.step(loss, losses, decay_from=0.4)
    trainer.save()


def load_vq(work: Path) -> VQModel:
    """The trained network, with averaged weights; raises FileNotFoundError if there is none."""
    state = load_checkpoint(work / "vq.pt")
    if state is None:
        raise FileNotFoundError(f"no trained VQ model in {work}; run `velatura train vq` first")
    vq = make_vq(Profile(**state["profile"]))
    vq.load_state_dict(state["ema"])
    return vq


def export_vq(work: Path, folder: Path = BUNDLE) -> None:
    """Write averaged weights in half precision, as a folder for diffusers' VQModel."""
    vq = load_vq(work)
    vq.half().save_pretrained(folder, safe_serialization=True)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)
