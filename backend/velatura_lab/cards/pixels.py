"""The bundle of the model of pixel space: weights, figures, samples and its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from velatura.bundles import BUNDLES
from velatura.diffusion import denoiser, noise, samplers, schedule
from velatura.models.pixels import PixelModel, load
from velatura_lab.training.loop import load_checkpoint
from velatura_lab.training.networks import PIXEL_PATCH
from velatura_lab.training.pixels import export_pixels
from velatura_lab.world import render, sample_scene

from .card import command, note_of, record, table, trained_on

BUNDLE = BUNDLES / "velatura-pixels"
LEVELS = (0.25, 0.5, 0.75)  # shares of the training times at which denoising is measured
SAMPLES = 8
STEPS = 50

_CARD = """---
license: gpl-3.0
pipeline_tag: unconditional-image-generation
---
# velatura-pixels

A small diffusion model of pixel space, {size} x {size} pixels, {parameters:.1f} M parameters, trained on portraits drawn by
`velatura_lab.world`. It reads no text. With velatura-clip it lets the methods that CLIP guides be tried, shown and
tested on any machine without a download.

![Samples](samples.png)

## Data

{pictures:,} drawn portraits in four styles, and their mirror images. No photograph, no person's likeness, no downloaded data.

## Training

```
{command}
velatura train export-pixels --work DIR --seed {seed} --count {count}
```

{samples:,} pictures in {minutes:g} minutes{machine}. v-prediction (Salimans & Ho 2022) with the cosine schedule
(Nichol & Dhariwal 2021); the network sees squares of {patch} x {patch} pixels as one place (Hoogeboom et al. 2023). Weights are
averaged over the training and stored in half precision. One run, one seed.{notes}

## Figures

{count} portraits that no training step saw, seed {seed}: how well one pass of the network restores them from noise.

{figures}

## Limits

Small and briefly trained: a surrounding picture holds it to a face, but a whole picture from noise has smeared features. A
drawn world, not a picture of how people look.

## Licence

GPL-3.0-or-later, like the rest of Velatura.
"""  # noqa: E501


def export(
    work: Path, folder: Path = BUNDLE, seed: int = 7, count: int = 200, note: str | None = None
) -> None:
    """Write the bundle of the model that was trained in `work`.

    Args:
        work: Folder of the training.
        folder: The bundle.
        seed: Of the held-out scenes.
        count: Their number.
        note: The card's note on the training; None keeps the earlier one.

    Raises:
        FileNotFoundError: `work` has no trained model of pixels.
    """
    export_pixels(work, folder)
    state = load_checkpoint(work / "pixels.pt")
    assert state is not None  # exported from it
    model = load(folder, folder.name, "", torch.device("cpu"), torch.float32)
    path = folder / "figures.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    trained = record(state)
    figures: dict[str, Any] = {
        "training": trained,
        "notes": note_of(note, trained, before),
        "seed": seed,
        "count": count,
        "size": model.size,
        "parameters": sum(parameter.numel() for parameter in model.unet.parameters()),
        "figures": {"restored": restored(model, seed, count)},
    }
    path.write_text(json.dumps(figures, indent=1) + "\n")
    Image.fromarray(_sheet(samples(model, SAMPLES))).save(folder / "samples.png", optimize=True)
    write_card(folder, figures)


@torch.inference_mode()
def restored(model: PixelModel, seed: int, count: int) -> dict[str, list[float]]:
    """Share of the training times -> [noise level, PSNR in dB of D(x; sigma)], over held-out portraits."""
    scenes = [sample_scene(np.random.default_rng([seed, 2, i]), "portrait", i % 2 == 1) for i in range(count)]
    pictures = torch.from_numpy(np.stack([render(scene, model.size).to_bytes() for scene in scenes]))
    z = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0
    n = noise.standard_normal(range(count), z.shape[1:])
    none = model.encode_prompt("")
    result: dict[str, list[float]] = {}
    for share in LEVELS:
        sigma = float(model.training_sigmas[round(share * len(model.training_sigmas)) - 1])
        rows = [
            denoiser.denoise(model, x, sigma, none.expand(len(x))).clamp(-1.0, 1.0)
            for x in (z + sigma * n).split(20)
        ]
        error = (torch.cat(rows) - z).square().mean() / 4.0  # of pictures in 0..1
        result[f"{share:g}"] = [round(sigma, 3), round(float(-10.0 * error.log10()), 2)]
    return result


@torch.inference_mode()
def samples(model: PixelModel, count: int) -> Tensor:
    """Pictures [count, 3, size, size] in [-1, 1] from noise, seeds 0 to count - 1."""
    sigmas = schedule.sigmas(model.training_sigmas, STEPS)
    D = denoiser.guided(model, "")
    start = sigmas[0] * noise.standard_normal(range(count), (3, model.size, model.size))
    bounded = lambda x, sigma, at=None: D(x, sigma, at).clamp(-1.0, 1.0)  # noqa: E731
    return samplers.euler(bounded, start, sigmas, lambda x, _: x)


def _sheet(pictures: Tensor) -> np.ndarray:
    """The pictures in two rows, uint8."""
    rows = ((pictures + 1.0) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    half = len(rows) // 2
    return np.concatenate([np.concatenate(list(part), axis=1) for part in (rows[:half], rows[half:])])


def write_card(folder: Path, figures: dict[str, Any]) -> None:
    """Write `README.md` beside the weights from the figures of `export`."""
    trained = figures["training"]
    rows = [[share, sigma, psnr] for share, (sigma, psnr) in figures["figures"]["restored"].items()]
    machine = f" on {name}" if (name := trained_on(trained)) else ""
    notes = f"\n\n{figures['notes']}" if figures["notes"] else ""
    (folder / "README.md").write_text(
        _CARD.format(
            size=figures["size"],
            parameters=figures["parameters"] / 1e6,
            pictures=trained["pictures"],
            command=command("pixels", figures["seed"], trained),
            samples=trained["samples"],
            minutes=trained["minutes"],
            machine=machine,
            patch=PIXEL_PATCH,
            notes=notes,
            seed=figures["seed"],
            count=figures["count"],
            figures=table(["share of the training times", "noise level", "PSNR, dB"], rows),
        )
    )
