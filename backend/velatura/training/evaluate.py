"""Measure the exported bundle, write `figures.json`, the model card and its pictures."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from velatura.readers import load_judge
from velatura.world import render

from . import measure
from .card import write_card
from .loop import load_checkpoint


def evaluate(work: Path, bundle: Path, seed: int, count: int, steps: int) -> None:
    """All figures from one run with a fixed seed; takes a few minutes on two cores."""
    model, judge = measure.load_bundle(bundle), load_judge()
    scenes = measure.held_out(seed, 400)
    renders = measure.to_images([render(scene, model.size) for scene in scenes])
    rebuilt = measure.reconstruct(model, renders[:count])
    drawn = measure.draw(model, scenes[:count], steps)
    edits = measure.masked_edits(model, judge, scenes, 16)
    figures = {
        "seed": seed,
        "pictures": count,
        "steps": steps,
        "guidance": list(measure.GUIDANCES),
        "autoencoder_psnr_db": measure.psnr(rebuilt, renders[:count]),
        "judge_on_renders": measure.reading(judge, renders, scenes),
        "judge_on_reconstructions": measure.reading(judge, rebuilt, scenes[:count]),
        "attributes_as_prompted": measure.reading(judge, drawn.images, scenes[:count]),
        "pointing_t400": measure.pointing(model, scenes[:128]),
        "masked_edits": {
            name: "{} of {}".format(*successes([e.success for e in edits if e.element == name]))
            for name in ("glasses", "beard", "hat")
        },
        "seconds_a_picture": round(drawn.seconds, 2),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, no GPU",
        "training": training_record(work),
    }
    (bundle / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    write_card(bundle, figures)
    save_grid([list(row) for row in drawn.images[:24].split(8)], bundle / "samples.png")
    chosen = [e for name in ("glasses", "beard", "hat") for e in [e for e in edits if e.element == name][:3]]
    rows = [[e.before for e in chosen], [e.mask.expand(3, -1, -1) for e in chosen], [e.after for e in chosen]]
    save_grid(rows, bundle / "edits.png")
    print(json.dumps(figures, indent=2))


def successes(outcomes: list[bool]) -> tuple[int, int]:
    return sum(outcomes), len(outcomes)


def training_record(work: Path) -> dict[str, dict[str, float]]:
    """Pictures seen and minutes taken by each trained part."""
    record = {}
    for part in ("judge", "autoencoder", "decoder", "diffusion"):
        state = load_checkpoint(work / f"{part}.pt")
        if state is not None:
            record[part] = {"samples": state["samples"], "minutes": round(state["seconds"] / 60.0, 1)}
    return record


def save_grid(rows: list[list[torch.Tensor]], path: Path, gap: int = 4) -> None:
    """Pictures (3, H, W) in 0..1 in rows on white, as a PNG of 6 bits a channel so that it stays small."""
    height, width = rows[0][0].shape[1:]
    sheet = np.ones((len(rows) * (height + gap) - gap, len(rows[0]) * (width + gap) - gap, 3), np.float32)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            top, left = r * (height + gap), c * (width + gap)
            sheet[top : top + height, left : left + width] = picture.permute(1, 2, 0).clamp(0.0, 1.0).numpy()
    rounded = np.round(sheet * 63.0) * (255.0 / 63.0)
    Image.fromarray(np.round(rounded).astype(np.uint8)).save(path, optimize=True)
