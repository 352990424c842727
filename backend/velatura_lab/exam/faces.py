"""Figures of the style-based generator of portraits, of its encoder and its segmentation branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velatura.generators.styles import StyleGenerator
from velatura.models.families.stylegan2 import Mapping
from velatura.stylespace import inversion
from velatura_lab.readers import Judge, matches
from velatura_lab.training.data import VISIBLE
from velatura_lab.training.embedded_vae import as_images
from velatura_lab.training.labels import readable
from velatura_lab.training.portraits import SIZE, portrait_of
from velatura_lab.world import render
from velatura_lab.world.portrait.description import describe
from velatura_lab.world.portrait.scene import ATTRIBUTES, ELEMENTS, Portrait

from .assess import pooled, rate

BATCH = 8
REFINEMENTS = (50, 200)  # steps in W+
TUNING = 50  # steps of pivotal tuning, after the first refinement
HOLD = 0.02  # weight that holds the refined code near the encoder's
Figures = dict[str, Any]
Outcomes = list[dict[str, bool]]
"""For each picture, attribute -> whether it is read right."""


@dataclass(frozen=True)
class Held:
    """Held-out portraits.

    Args:
        scenes: N scenes.
        seen: the elements in view of each.
        pictures: (N, 3, S, S) float32 in [-1, 1].
        labels: (N, S, S), the element that covers most of each pixel.
        descriptions: (N, D) float32.
    """

    scenes: list[Portrait]
    seen: list[frozenset[str]]
    pictures: Tensor
    labels: NDArray[np.int64]
    descriptions: Tensor

    def first(self, count: int) -> Held:
        """The first portraits of the set."""
        return Held(
            self.scenes[:count],
            self.seen[:count],
            self.pictures[:count],
            self.labels[:count],
            self.descriptions[:count],
        )


def held_out(seed: int, count: int, textured: bool = False) -> Held:
    """Portraits 0 to count - 1 of a seed, which must not be the training's.

    Args:
        seed: of the scenes.
        count: their number.
        textured: whether each has its own texture, which no description has.
    """
    scenes = [portrait_of(seed, i, textured) for i in range(count)]
    drawn = [render(scene, SIZE) for scene in scenes]
    return Held(
        scenes,
        [frozenset(name for name in p.elements if p.shows(name, VISIBLE)) for p in drawn],
        as_images(np.stack([picture.to_bytes() for picture in drawn])),
        np.stack([picture.masks.argmax(0) for picture in drawn]),
        torch.from_numpy(np.stack([describe(scene) for scene in scenes])),
    )


def psnr(pictures: Tensor, exact: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures (N, 3, s, s) in [-1, 1]: the mean over the pictures."""
    error = ((pictures.clamp(-1.0, 1.0) - exact) / 2.0).square().mean((1, 2, 3))
    return round(float(-10.0 * error.log10().mean()), 2)


def outcomes(judge: Judge, pictures: Tensor, held: Held) -> Outcomes:
    """Whether each attribute that a scene shows is read from its picture (N, 3, s, s) in [-1, 1]."""
    found: Outcomes = []
    images = pictures.clamp(-1.0, 1.0) * 0.5 + 0.5
    read = [reading for part in images.split(64) for reading in judge.read(part)]
    for reading, scene, seen in zip(read, held.scenes, held.seen, strict=True):
        names = [name for name in ATTRIBUTES if readable(scene, name, seen)]
        found.append({name: matches(reading, scene, name) for name in names})
    return found


def shares(right: Outcomes) -> Figures:
    """The share of right readings over "all" attributes and of each, as `pooled` and `rate` give them."""
    parts = {name: [own[name] for own in right if name in own] for name in ATTRIBUTES}
    return {
        "all": pooled([list(own.values()) for own in right]),
        "attributes": {name: rate(found) for name, found in parts.items() if found},
    }


def kept(before: Outcomes, after: Outcomes) -> Outcomes:
    """The outcomes of reconstructions where the source's attribute is read right."""
    return [{name: value for name, value in a.items() if b[name]} for b, a in zip(before, after, strict=True)]


@torch.no_grad()
def described(model: StyleGenerator, mapping: Mapping, held: Held) -> Tensor:
    """Codes (N, num_ws, w_dim) of the descriptions."""
    return model.wplus(mapping(None, held.descriptions))


def pictures_of(model: StyleGenerator, ws: Tensor) -> Tensor:
    """Pictures (N, 3, s, s) in [-1, 1] of codes (N, num_ws, w_dim)."""
    return torch.cat([model.decode(part) for part in ws.split(BATCH)])


def assess_generated(model: StyleGenerator, mapping: Mapping, judge: Judge, held: Held) -> Figures:
    """PSNR against the exact pictures; attributes read from both."""
    pictures = pictures_of(model, described(model, mapping, held))
    return {
        "psnr": psnr(pictures, held.pictures),
        "generated": shares(outcomes(judge, pictures, held)),
        "exact": shares(outcomes(judge, held.pictures, held)),
    }


def assess_inversion(model: StyleGenerator, judge: Judge, held: Held, few: int = 0) -> Figures:
    """By way of inversion: PSNR, and the share of the attributes that the reconstruction keeps.

    Args:
        model: the generator, with an encoder.
        judge: reads pictures and reconstructions.
        held: the pictures.
        few: number of pictures for the slower ways; 0: the encoder only.
    """
    encoded = torch.cat([model.encode(part) for part in held.pictures.split(BATCH)])
    found = {"encoder": _restored(judge, held, pictures_of(model, encoded), True)}
    if not few:
        return found
    some, ws = held.first(few), encoded[:few]
    found["encoder, these"] = _restored(judge, some, pictures_of(model, ws))
    nearer = {steps: refined(model, some.pictures, ws, steps) for steps in REFINEMENTS}
    for steps, codes in nearer.items():
        found[f"{steps} steps"] = _restored(judge, some, pictures_of(model, codes))
    tuned = [
        _tuned(model, picture[None], code[None])
        for picture, code in zip(some.pictures, nearer[REFINEMENTS[0]], strict=True)
    ]
    found[f"{REFINEMENTS[0]} steps, {TUNING} of tuning"] = _restored(judge, some, torch.cat(tuned))
    return found


def _restored(judge: Judge, held: Held, pictures: Tensor, each: bool = False) -> Figures:
    right = kept(outcomes(judge, held.pictures, held), outcomes(judge, pictures, held))
    found = shares(right)
    return {
        "psnr": psnr(pictures, held.pictures),
        "kept": found["all"],
        **({"attributes": found["attributes"]} if each else {}),
    }


def refined(model: StyleGenerator, pictures: Tensor, ws: Tensor, steps: int) -> Tensor:
    """Codes (N, num_ws, w_dim) refined to fit pictures (N, 3, s, s)."""
    parts = [
        inversion.refined(model, x, w, steps, HOLD, [], lambda i, w: None)
        for x, w in zip(pictures.split(BATCH), ws.split(BATCH), strict=True)
    ]
    return torch.cat(parts)


def _tuned(model: StyleGenerator, picture: Tensor, ws: Tensor) -> Tensor:
    weights = inversion.tuned(model, picture, ws, TUNING, [], lambda i: None)
    return inversion.with_weights(model, weights).decode(ws)


@torch.no_grad()
def segmented(model: StyleGenerator, ws: Tensor) -> NDArray[np.int64]:
    """The part of each pixel, (N, s, s), of codes (N, num_ws, w_dim)."""
    parts = [
        model.segment(model.synthesise(model.styles(part))).argmax(1).numpy() for part in ws.split(BATCH)
    ]
    return np.concatenate(parts)


def overlaps(found: NDArray[np.int64], labels: NDArray[np.int64], names: Sequence[str]) -> Figures:
    """Intersection over union of each part over all pixels of found and exact labels (N, s, s), and their
    mean (Everingham et al. 2015, The Pascal Visual Object Classes Challenge, section 4.4)."""
    count = len(names)
    confusion = np.bincount((labels * count + found).ravel(), minlength=count * count).reshape(count, count)
    both = confusion.diagonal()
    either = confusion.sum(0) + confusion.sum(1) - both
    ious = {name: round(float(b / e), 3) for name, b, e in zip(names, both, either, strict=True) if e}
    return {"mean": round(float(np.mean(list(ious.values()))), 3), "parts": ious}


def assess_segmentation(model: StyleGenerator, mapping: Mapping, held: Held) -> Figures:
    """Overlaps with the exact labels: of generated pictures, and of inverted ones."""
    exact = segmented(model, described(model, mapping, held))
    codes = torch.cat([model.encode(part) for part in held.pictures.split(BATCH)])
    return {
        "generated": overlaps(exact, held.labels, ELEMENTS),
        "inverted": overlaps(segmented(model, codes), held.labels, ELEMENTS),
    }
