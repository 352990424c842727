"""A small network that reads the attributes of a portrait, to check what a model was asked to draw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from velatura.world import ATTRIBUTES

from .data import Dataset, load_dataset
from .loop import Ema, Options, Progress, load_checkpoint, save_checkpoint

BUNDLE = Path(__file__).parent.parent / "bundles" / "velatura-judge"

#: The element that must be in view for an attribute to be readable (where it is present at all).
SEEN_IN = {
    "person": "face",
    "skin": "face",
    "hair_style": "hair",
    "hair_colour": "hair",
    "beard": "beard",
    "glasses": "glasses",
    "smile": "mouth",
    "hat": "hat",
    "hat_colour": "hat",
    "shirt_colour": "shirt",
    "background": "background",
}
_ABSENT = {"beard": False, "glasses": "none", "hat": "none"}


class Judge(nn.Module):
    """Strided convolutions, mean and maximum over the picture, one linear read-out for all attributes."""

    def __init__(self, channels: tuple[int, ...] = (24, 48, 96, 128, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *channels), channels, strict=False):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.sizes = [len(values) for values in ATTRIBUTES.values()]
        self.read_out = nn.Linear(2 * channels[-1], sum(self.sizes))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Images (N, 3, 128, 128) in 0..1 -> logits (N, classes) for each attribute."""
        features = self.body(images * 2.0 - 1.0)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return dict(zip(ATTRIBUTES, self.read_out(pooled).split(self.sizes, 1), strict=True))

    @torch.no_grad()
    def read(self, images: torch.Tensor) -> list[dict[str, str | bool]]:
        """Images (N, 3, H, W) in 0..1 -> for each, the most likely value of every attribute."""
        self.eval()
        if images.shape[-2:] != (128, 128):
            images = F.interpolate(images.float(), (128, 128), mode="bilinear", antialias=True)
        choices = {name: logits.argmax(1).tolist() for name, logits in self(images.float()).items()}
        return [{name: ATTRIBUTES[name][choices[name][n]] for name in ATTRIBUTES} for n in range(len(images))]


def load_judge(folder: Path = BUNDLE) -> Judge:
    """The trained judge shipped with the package."""
    judge = Judge(tuple(json.loads((folder / "config.json").read_text())["channels"]))
    judge.load_state_dict(
        {name: value.float() for name, value in load_file(folder / "judge.safetensors").items()}
    )
    return judge.eval()


def export_judge(work: Path, folder: Path = BUNDLE) -> None:
    """Write the averaged weights of a trained judge in half precision."""
    state = load_checkpoint(work / "judge.pt")
    if state is None:
        raise FileNotFoundError(f"no trained judge in {work}; run `python -m velatura.training judge` first")
    folder.mkdir(parents=True, exist_ok=True)
    half = {k: v.half().contiguous() for k, v in state["ema"].items() if v.is_floating_point()}
    save_file(half, folder / "judge.safetensors")
    (folder / "judge.safetensors").chmod(0o644)
    config = {"channels": [24, 48, 96, 128, 128], "attributes": {k: list(v) for k, v in ATTRIBUTES.items()}}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def targets(data: Dataset, index: int) -> dict[str, int]:
    """Class of each attribute, -100 (ignored) where the picture does not show it."""
    scene, seen = data.scene(index), data.visible(index)
    result = {}
    for name, values in ATTRIBUTES.items():
        value = getattr(scene, name)
        absent = name in _ABSENT and value == _ABSENT[name]
        result[name] = values.index(value) if absent or SEEN_IN[name] in seen else -100
    if scene.hat == "none":
        result["hat_colour"] = -100
    return result


def disturb(images: torch.Tensor) -> torch.Tensor:
    """Noise, blur and shifts of tone, so that a picture from a decoder is read like a clean one."""
    if torch.rand(()) < 0.5:
        images = images.flip(3)
    if torch.rand(()) < 0.5:
        images = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
    gain = 1.0 + 0.08 * torch.randn(len(images), 3, 1, 1)
    return (images * gain + 0.05 * torch.rand(()) * torch.randn_like(images)).clamp(0.0, 1.0)


def train_judge(options: Options, rank: int) -> None:
    """Cross-entropy over the attributes that are in view, with label smoothing."""
    data = load_dataset(options.work, options.seed, options.pictures, options.processes)
    labels = [targets(data, index) for index in range(rank, len(data), options.processes)]
    table = {name: torch.tensor([label[name] for label in labels]) for name in ATTRIBUTES}
    judge = Judge().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(judge.parameters(), options.rate, weight_decay=0.02)
    ema = Ema(judge, 0.995)
    state = load_checkpoint(options.work / "judge.pt")
    torch.manual_seed(options.seed * 1000 + rank)
    if state is None:
        for parameter in judge.parameters():
            torch.distributed.broadcast(parameter.data, 0)
        state = {"samples": 0, "seconds": 0.0}
    else:
        judge.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        ema.count = state["count"]
    ema.state = (
        {k: v.detach().clone() for k, v in judge.named_parameters()}
        if "ema" not in state
        else {k: state["ema"][k] for k in ema.state}
    )
    progress = Progress(options, rank, state["samples"], state["seconds"])
    rng = np.random.default_rng([options.seed, rank, progress.samples])

    def save() -> None:
        save_checkpoint(
            options.work / "judge.pt",
            {
                "model": judge.state_dict(),
                "ema": ema.full_state(),
                "count": ema.count,
                "optimiser": optimiser.state_dict(),
                "samples": progress.samples,
                "seconds": progress.seconds,
            },
        )

    judge.train()
    while progress.running:
        pick = rng.integers(len(labels), size=options.batch)
        images = disturb(data.images(pick * options.processes + rank)).contiguous(
            memory_format=torch.channels_last
        )
        logits = judge(images)
        loss = sum(
            F.cross_entropy(
                logits[name], table[name][pick], ignore_index=-100, label_smoothing=0.02, reduction="sum"
            )
            / options.batch
            for name in ATTRIBUTES
        )
        optimiser.zero_grad()
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = options.rate * progress.rate()
        progress.step(judge.parameters(), {"loss": loss.detach()})
        optimiser.step()
        ema.update()
        if progress.save_due():
            save()
    if rank == 0:
        save()
