"""The package's sample picture, with masks as drawn by hand.

`python -m velatura_lab.training.samples` writes it anew after a change of the world.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from velatura.samples import SAMPLES
from velatura_lab.world import caption, edit, render, sample_scene
from velatura_lab.world.portrait import Portrait

SIDE = 768

#: Mask -> the change of the scene that its prompt asks for.
EDITS: dict[str, dict[str, Any]] = {
    "glasses": {"glasses": "glasses"},
    "hat": {"hat": "hat", "hat_colour": "red"},
    "beard": {"beard": True},
}


def sample_portrait() -> Portrait:
    """A man without glasses, hat or beard, so that an edit can add each of them."""
    someone = sample_scene(np.random.default_rng([99, 4]), "portrait")
    return edit(
        someone,
        style="photo",
        person="man",
        age=0.3,
        skin="tan",
        hair_style="short",
        hair_colour="brown",
        beard=False,
        beard_length=0.5,
        glasses="none",
        glasses_size=0.5,
        smile=True,
        smile_width=0.5,
        hat="none",
        shirt_colour="white",
        shirt_pattern="plain",
        background="green",
    )


def drawn_masks(scene: Portrait) -> dict[str, NDArray[np.uint8]]:
    """Generous soft masks (768, 768) for new elements, as of a few strokes."""
    s = scene.setting
    line = (np.arange(SIDE) + 0.5) * (2.0 / SIDE) - 1.0
    x, y = np.meshgrid(line - s.centre_x, line - s.centre_y)
    u = (x * np.cos(s.tilt) + y * np.sin(s.tilt)) / s.scale
    v = (y * np.cos(s.tilt) - x * np.sin(s.tilt)) / s.scale
    crown = (np.abs(u) < 1.02 + 0.1 * v) & (v > -1.42) & (v < -0.45)
    brim = (u / 1.40) ** 2 + ((v + 0.54) / 0.30) ** 2 < 1.0
    cheek = 0.36 - 0.50 * np.clip((np.abs(u) - 0.30) / 0.45, 0.0, 1.0)
    shapes = {
        "glasses": (np.abs(u / 0.90) ** 4 + np.abs((v + 0.05) / 0.32) ** 4) < 1.0,
        "hat": crown | brim,
        "beard": (v > cheek) & ((u / 0.92) ** 2 + (v / 1.20) ** 2 < 1.0),
    }
    return {
        name: np.asarray(Image.fromarray(shape.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(7)))
        for name, shape in shapes.items()
    }


def write_samples(folder: Path = SAMPLES) -> None:
    """Write `portrait.png`, `masks/*.png`, and `samples.json` with prompts and the expected attributes."""
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    scene = sample_portrait()
    Image.fromarray(render(scene, SIDE).to_bytes()).save(folder / "portrait.png", optimize=True)
    edits: dict[str, dict[str, Any]] = {}
    for name, mask in drawn_masks(scene).items():
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png", optimize=True)
        edits[name] = {
            "mask": f"masks/{name}.png",
            "prompt": caption(edit(scene, **EDITS[name])).text,
            "expect": EDITS[name],
        }
    content = {"portrait": {"file": "portrait.png", "caption": caption(scene).text}, "edits": edits}
    (folder / "samples.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    write_samples()
