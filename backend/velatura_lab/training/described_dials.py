"""The dials of the embedded generator: mean differences of codes whose labels differ in one thing.

The generator's labels say what its pictures show, so its dials need no search: the direction of a thing is
the mean of w(with it) - w(without it) over many portraits (Shen et al. 2020, InterFaceGAN, with exact labels
in the place of a classifier's).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velatura.models.families.stylegan2 import StyleGAN2
from velatura.shelf.dial import ENDING, Dial
from velatura.shelf.packing import content_id, pack
from velatura_lab.world import Portrait
from velatura_lab.world.portrait.description import describe

from .portraits import portrait_of

SEED = 70_000  # of the portraits; no set of training or measurement has it
COUNT = 256  # portraits whose differences are averaged


def _set(**changes: Any) -> Callable[[Portrait], Portrait]:
    """Changes of attributes."""
    return lambda scene: replace(scene, **changes)


def _light(**changes: float) -> Callable[[Portrait], Portrait]:
    """Changes of framing and light."""
    return lambda scene: replace(scene, setting=replace(scene.setting, **changes))


def _hair(colour: str) -> Callable[[Portrait], Portrait]:
    """Hair of a colour, as a portrait has it; short hair for those without."""
    return lambda scene: replace(
        scene, hair_colour=colour, hair_style="short" if scene.hair_style == "none" else scene.hair_style
    )


_brown = _hair("brown")

#: Title of a dial -> the portrait at 0 and at 100 per cent.
DIALS: dict[str, tuple[Callable[[Portrait], Portrait], Callable[[Portrait], Portrait]]] = {
    "Age": (_set(age=0.1), _set(age=0.9)),
    "Beard": (_set(person="man", beard=False), _set(person="man", beard=True, beard_length=0.5)),
    "Length of the beard": (
        _set(person="man", beard=True, beard_length=0.0),
        _set(person="man", beard=True, beard_length=1.0),
    ),
    "Smile": (_set(smile=False), _set(smile=True, smile_width=0.6)),
    "Glasses": (_set(glasses="none"), _set(glasses="glasses", glasses_size=0.5)),
    "Sunglasses": (_set(glasses="none"), _set(glasses="sunglasses", glasses_size=0.5)),
    "Hat": (_set(hat="none"), _set(hat="hat")),
    "Long hair": (_set(hair_style="short"), _set(hair_style="long", hair_length=0.6)),
    "Grey hair": (
        _set(hair_style="short", hair_colour="brown"),
        _set(hair_style="short", hair_colour="grey"),
    ),
    "Blond hair": (
        _set(hair_style="short", hair_colour="brown"),
        _set(hair_style="short", hair_colour="blond"),
    ),
    "Red hair": (_set(hair_style="short", hair_colour="brown"), _set(hair_style="short", hair_colour="red")),
    "Light from the right": (_light(light=-0.7), _light(light=0.7)),
    "Warm light": (_light(warmth=-1.0), _light(warmth=1.0)),
}


@torch.inference_mode()
def described_dials(generator: StyleGAN2, count: int = COUNT) -> list[Dial]:
    """The dials of a generator whose labels are descriptions of portraits.

    count: portraits whose differences are averaged.
    """
    portraits = [portrait_of(SEED, index) for index in range(count)]

    def codes(change: Callable[[Portrait], Portrait]) -> Tensor:
        rows = np.stack([describe(change(scene)) for scene in portraits])
        return generator.mapping(None, torch.from_numpy(rows))

    made: list[Dial] = []
    for title, (before, after) in DIALS.items():
        delta = (codes(after) - codes(before)).mean(0)
        tensors = {"ws": delta.expand(generator.shape.num_ws, -1).half().contiguous()}
        recipe = {"made": "mean difference of described portraits", "seed": SEED, "portraits": count}
        made.append(Dial(content_id("vector", "", tensors), title, "", "vector", tensors, recipe))
    return made


def write_dials(generator: StyleGAN2, folder: Path) -> None:
    """Write them as the dials that ship with a model, in place of those that are there.

    folder: the `dials` folder of the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"*{ENDING}"):
        old.unlink()
    for dial in described_dials(generator):
        name = dial.title.lower().replace(" ", "-")
        (folder / f"{name}{ENDING}").write_bytes(pack(dial))
