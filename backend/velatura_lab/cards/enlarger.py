"""The bundle of the enlarger: weights, figures, a sheet and its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from velatura.bundles import BUNDLES
from velatura.companions.compact import Compact
from velatura_lab.training.details import SCALE, SIZE, SMALL, details_of, reconstructed
from velatura_lab.training.embedded_vae import load_vae
from velatura_lab.training.enlarger import roughness
from velatura_lab.training.loop import load_checkpoint

from .card import command, note_of, record, table, trained_on

BUNDLE = BUNDLES / "velatura-enlarge"
FILE = "enlarger.safetensors"
ROWS = 4  # of the sheet

_CARD = """---
license: gpl-3.0
pipeline_tag: image-to-image
---
# velatura-enlarge

A small network that enlarges the pictures of velatura-mini {scale} times, {parameters:,} parameters, {bytes:,} bytes. Its layout is
Real-ESRGAN's compact one (`SRVGGNetCompact`), so spandrel and programs that use it read it too.

![A model's picture enlarged by bicubic interpolation and by the network, and the picture as drawn](samples.png)

## Data

{pictures:,} near views of drawn scenes, {size} x {size} pixels, and their small forms: means of {scale} x {scale} pixels, blurred ones, and the
embedded autoencoder's reconstructions of them. No photograph, no downloaded data.

## Training

```
{command}
velatura train export-enlarger --work DIR --seed {seed} --count {count}
```

{samples:,} patches in {minutes:g} minutes{machine}: absolute errors of pixels and edges, and steps between small pixels; after the
first quarter also features of the judge, a critic on them (Sauer et al. 2021) and the amount of fine detail. Weights are averaged over the training and
stored in half precision. One run, one seed.{notes}

## Figures

{count} near views of scenes that no training step saw, seed {seed}, reconstructed by the embedded autoencoder at {small} x {small} pixels and
enlarged. Fine detail is the mean absolute Laplacian, relative to that of the drawn picture.

{figures}

## Limits

Small and briefly trained, on drawn pictures of one world: for photographs and paintings name an enlarger of your own
(`velatura models add --enlarger`).

## Licence

GPL-3.0-or-later, like the rest of Velatura.
"""  # noqa: E501


def export(
    work: Path, folder: Path = BUNDLE, seed: int = 7, count: int = 60, note: str | None = None
) -> None:
    """Write the bundle of the enlarger that was trained in `work`.

    Args:
        work: Folder of the training.
        folder: The bundle.
        seed: Of the held-out scenes.
        count: Their number.
        note: The card's note on the training; None keeps the earlier one.

    Raises:
        FileNotFoundError: `work` has no trained enlarger.
    """
    state = load_checkpoint(work / "enlarger.pt")
    if state is None:
        raise FileNotFoundError(f"no trained enlarger in {work}; run `velatura train enlarger` first")
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in state["ema"].items()}
    save_file(weights, folder / FILE)
    (folder / FILE).chmod(0o644)
    network = Compact.of({name: value.float() for name, value in weights.items()}).eval()
    config = {"architecture": "SRVGGNetCompact", "scale": network.scale}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    path = folder / "figures.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    trained = record(state)
    measured, sheet = measure(network, seed, count)
    figures: dict[str, Any] = {
        "training": trained,
        "notes": note_of(note, trained, before),
        "seed": seed,
        "count": count,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "bytes": (folder / FILE).stat().st_size,
        "figures": measured,
    }
    path.write_text(json.dumps(figures, indent=1) + "\n")
    Image.fromarray(sheet).save(folder / "samples.png", optimize=True)
    write_card(folder, figures)


@torch.inference_mode()
def measure(network: Compact, seed: int, count: int) -> tuple[dict[str, list[float]], np.ndarray]:
    """Way of enlarging -> [PSNR in dB, share of the fine detail], over held-out views; and a sheet, uint8."""
    pairs = [details_of(np.random.default_rng([seed, 3, i])) for i in range(count)]
    large = _tensor(np.stack([pair[0] for pair in pairs]))
    small = reconstructed(load_vae(), np.stack([pair[1] for pair in pairs]), seed=[seed, 3])
    x = _tensor(small)
    ways = {
        "bicubic": F.interpolate(x, scale_factor=SCALE, mode="bicubic").clamp(0.0, 1.0),
        "velatura-enlarge": torch.cat([network(part) for part in x.split(8)]).clamp(0.0, 1.0),
    }
    drawn = float(roughness(large).mean())
    figures: dict[str, list[float]] = {}
    for name, y in ways.items():
        psnr = float(-10.0 * (y - large).square().mean().log10())
        figures[name] = [round(psnr, 2), round(float(roughness(y).mean()) / drawn, 3)]
    rows = torch.stack([*(y[:ROWS] for y in ways.values()), large[:ROWS]])
    grid = rows.permute(1, 3, 0, 4, 2).flatten(2, 3).flatten(0, 1)
    return figures, (grid * 255.0).round().byte().numpy()


def _tensor(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255.0


def write_card(folder: Path, figures: dict[str, Any]) -> None:
    """Write `README.md` beside the weights from the figures of `export`."""
    trained = figures["training"]
    rows = [[way, *values] for way, values in figures["figures"].items()]
    machine = f" on {name}" if (name := trained_on(trained)) else ""
    notes = f"\n\n{figures['notes']}" if figures["notes"] else ""
    (folder / "README.md").write_text(
        _CARD.format(
            scale=SCALE,
            size=SIZE,
            small=SMALL,
            parameters=figures["parameters"],
            bytes=figures["bytes"],
            pictures=trained["pictures"],
            command=command("enlarger", figures["seed"], trained),
            samples=trained["samples"],
            minutes=trained["minutes"],
            machine=machine,
            notes=notes,
            seed=figures["seed"],
            count=figures["count"],
            figures=table(["way", "PSNR, dB", "fine detail"], rows),
        )
    )
