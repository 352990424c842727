"""Figures of the readers on held-out scenes, which no training step saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velatura_lab.evaluation.statistics import ratio, wilson
from velatura_lab.readers import ClipSeg, IdentityEncoder, Judge, matches
from velatura_lab.training.data import VISIBLE
from velatura_lab.training.identity import portrait_of
from velatura_lab.training.labels import questions, readable
from velatura_lab.training.negatives import changed
from velatura_lab.world import KINDS, Picture, caption, elements, render, sample_scene

HELD_OUT = 424_242  # scenes are drawn from [seed, HELD_OUT, i], those of training from [seed, i]
FEW = 5  # least number of values for a resampled interval
EMPTY = 0.01  # a mask of a smaller share of the picture counts as empty

Figures = dict[str, Any]


class ImageText(Protocol):
    """Embeds pictures and texts in one space."""

    def images(self, pictures: Tensor, /) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1 -> unit vectors (N, d)."""
        ...

    def texts(self, sentences: Sequence[str], /) -> Tensor:
        """N sentences -> unit vectors (N, d)."""
        ...


class Exam:
    """Held-out scenes with their pictures, of all kinds or of one `kind`."""

    def __init__(self, seed: int, count: int, kind: str | None = None, size: int = 128) -> None:
        rngs = [np.random.default_rng([seed, HELD_OUT, index]) for index in range(count)]
        self.scenes = [sample_scene(rng, kind) for rng in rngs]
        self.pictures: list[Picture] = [render(scene, size) for scene in self.scenes]

    @property
    def images(self) -> Tensor:
        """The pictures, (N, 3, size, size) in 0..1."""
        return torch.stack([torch.from_numpy(picture.rgb) for picture in self.pictures]).permute(0, 3, 1, 2)

    def seen(self, index: int) -> frozenset[str]:
        """The elements in view of a picture."""
        picture = self.pictures[index]
        return frozenset(
            name
            for name, mask in zip(picture.elements, picture.masks, strict=True)
            if float(mask.mean()) > VISIBLE
        )


def rate(outcomes: Sequence[bool]) -> list[float]:
    """[share of True, lower and upper end of its 95 % interval (Wilson 1927), n]."""
    estimate = wilson(sum(outcomes), len(outcomes))
    return [*(round(value, 4) for value in (estimate.mean, estimate.low, estimate.high)), estimate.n]


def pooled(pictures: Sequence[Sequence[bool]]) -> list[float]:
    """[share, low, high, n] as of `rate`, over several outcomes for each of n pictures.

    Outcomes of one picture depend on each other, so whole pictures are resampled (cluster bootstrap, Davison
    & Hinkley 1997, section 3.8).  With fewer than FEW pictures, or with all alike, the interval is Wilson's
    with one trial for each picture.
    """
    used = [own for own in pictures if own]
    right, outcomes = sum(map(sum, used)), sum(map(len, used))
    if not used or outcomes == len(used):
        return rate([own[0] for own in used])
    estimate = ratio([sum(own) for own in used], [len(own) for own in used])
    if len(used) < FEW or not estimate.high - estimate.low > 1e-9:
        estimate = wilson(len(used) * right / outcomes, len(used))
    return [*(round(value, 4) for value in (estimate.mean, estimate.low, estimate.high)), len(used)]


def assess_judge(judge: Judge, exam: Exam, images: Tensor | None = None) -> Figures:
    """Share of right readings of each attribute that a picture shows; mean error of degrees."""
    readings = judge.read(exam.images if images is None else images)
    right: dict[str, list[bool]] = {}
    errors: dict[str, list[float]] = {}
    pictures: list[list[bool]] = []
    for index, (reading, scene) in enumerate(zip(readings, exam.scenes, strict=True)):
        seen = exam.seen(index)
        pictures.append([])
        for question in questions():
            if question.kind in ("", scene.kind) and readable(scene, question.name, seen):
                pictures[-1].append(matches(reading, scene, question.name))
                right.setdefault(question.key, []).append(pictures[-1][-1])
                if not question.values and reading.kind == scene.kind:
                    error = abs(reading.values[question.name] - getattr(scene, question.name))
                    errors.setdefault(question.key, []).append(error)
    return {
        "all": pooled(pictures),
        "attributes": {key: rate(outcomes) for key, outcomes in sorted(right.items())},
        "error of degrees": {key: round(float(np.mean(values)), 3) for key, values in sorted(errors.items())},
    }


def choose_caption(clip: ImageText, images: Tensor, captions: Sequence[Sequence[str]]) -> list[bool]:
    """For each picture, whether the first of its captions fits it best."""
    flat = [text for own in captions for text in own]
    with torch.no_grad():
        texts = torch.cat([clip.texts(flat[first : first + 256]) for first in range(0, len(flat), 256)])
        texts = texts.unflatten(0, (len(captions), -1))
        scores = torch.einsum("nd,ncd->nc", embedded(clip, images), texts)
    return (scores.argmax(1) == 0).tolist()


@torch.no_grad()
def embedded(reader: ImageText, images: Tensor) -> Tensor:
    """Embeddings (N, dimension), computed in batches."""
    return torch.cat([reader.images(images[first : first + 64]) for first in range(0, len(images), 64)])


def assess_clip(clip: ImageText, exam: Exam, seed: int, choices: int = 16) -> Figures:
    """Share of pictures that the right one of `choices` full captions fits best.

    The other captions are of random scenes ("any"), of scenes of the same kind ("alike"), or of the same
    scene with one attribute changed ("one thing"; "pair" with a single other caption).  A figure with too
    few other captions is left out.
    """
    rng = np.random.default_rng([seed, 5])
    texts = [caption(scene, None, exam.seen(n).__contains__).text for n, scene in enumerate(exam.scenes)]
    kinds = np.array([scene.kind for scene in exam.scenes])
    rows: dict[str, list[list[str]]] = {"any": [], "alike": [], "one thing": [], "pair": []}
    for index, scene in enumerate(exam.scenes):
        for name, among in (("any", np.ones(len(kinds), bool)), ("alike", kinds == scene.kind)):
            others = [k for k in rng.permutation(np.flatnonzero(among)) if texts[k] != texts[index]]
            rows[name].append([texts[index], *(texts[k] for k in others[: choices - 1])])
        near = one_thing(scene, exam.seen(index), rng, choices - 1)
        rows["one thing"].append([texts[index], *near])
        rows["pair"].append([texts[index], *near[:1]])
    return {
        name: rate(choose_caption(clip, exam.images, captions))
        for name, captions in rows.items()
        if {len(own) for own in captions} == {2 if name == "pair" else choices}
    }


def one_thing(scene: Any, seen: frozenset[str], rng: np.random.Generator, count: int) -> list[str]:
    """Up to `count` full captions of the scene with one attribute changed, different from its own."""
    own, texts = caption(scene, None, seen.__contains__).text, list[str]()
    for _ in range(20 * count):
        _, other = changed(scene, seen, rng)
        new = caption(other).elements() - caption(scene).elements()
        text = caption(other, None, (seen | new).__contains__).text
        if text != own:
            texts.append(text)
        if len(texts) == count:
            break
    return texts


@torch.no_grad()
def assess_segmenter(segmenter: ClipSeg, exams: Sequence[Exam]) -> Figures:
    """Intersection over union with the exact masks, by element; share of empty masks for absent elements."""
    overlaps: dict[str, list[float]] = {}
    empty: list[list[bool]] = []
    everything = sorted({name for kind in KINDS for name in elements(kind)})
    rng = np.random.default_rng(3)
    for exam in exams:
        for index, picture in enumerate(exam.pictures):
            names = sorted(exam.seen(index))
            parts = {name for name in picture.elements if picture.mask(name).max() > 0}
            missing = [name for name in everything if name not in parts]
            chosen = [missing[k] for k in rng.permutation(len(missing))[:4]]
            prompts = [*names, *chosen]
            images = exam.images[index : index + 1].expand(len(prompts), -1, -1, -1)
            masks = segmenter.read(images, prompts) > 0.5
            empty.append([])
            for name, mask in zip(prompts, masks, strict=True):
                if name in chosen:
                    empty[-1].append(bool(mask.float().mean() < EMPTY))
                    continue
                exact = torch.from_numpy(picture.mask(name)) > 0.5
                either = int((mask | exact).sum())
                overlaps.setdefault(name, []).append(int((mask & exact).sum()) / either if either else 1.0)
    means = {
        name: [round(float(np.mean(values)), 3), len(values)] for name, values in sorted(overlaps.items())
    }
    return {
        "mean over elements": round(float(np.mean([mean for mean, _ in means.values()])), 3),
        "elements": means,
        "empty where there is none": pooled(empty),
    }


def assess_identity(encoder: IdentityEncoder, seed: int, people: int = 200) -> Figures:
    """Figures from two portraits, on different days, of each of `people` held-out people.

    "verification" is the area under the ROC curve, the probability that two portraits of one person are
    closer than two of different people; "alike" compares people of the same sex and skin only.  "rank-1" is
    the share of people whose other portrait is the nearest of 50.  "threshold" is the cosine of equal error
    rates.
    """
    scenes: list[Any] = []
    portraits: list[list[NDArray[np.float32]]] = []
    for index in range(people):
        rng = np.random.default_rng([seed, HELD_OUT, 7, index])
        scenes.append(sample_scene(rng, "portrait"))
        portraits.append([render(portrait_of(scenes[-1], rng), 128).rgb for _ in range(2)])
    images = torch.from_numpy(np.array(portraits)).permute(1, 0, 4, 2, 3)  # (2, people, 3, 128, 128)
    with torch.no_grad():
        first, second = (torch.cat([encoder.images(part) for part in side.split(64)]) for side in images)
    cosines = (first @ second.T).numpy()
    same = np.eye(people, dtype=bool)
    looks = np.array([f"{scene.person} {scene.skin}" for scene in scenes])
    alike = (looks[:, None] == looks[None]) & ~same
    groups = [range(start, start + min(50, people)) for start in range(0, people - min(50, people) + 1, 50)]
    hits = [bool(cosines[k, group].argmax() == k - group[0]) for group in groups for k in group]
    area, threshold = separation(cosines[same], cosines[~same])
    return {
        "verification": round(area, 4),
        "verification, alike": round(separation(cosines[same], cosines[alike])[0], 4),
        "people": people,
        "rank-1 of 50": rate(hits),
        "threshold": round(threshold, 3),
    }


def separation(inner: NDArray[np.floating[Any]], outer: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """(area under the ROC curve, threshold of equal error) of similarities of same and of different pairs."""
    inner, outer = np.sort(inner), np.sort(outer)
    below = np.searchsorted(outer, inner, "left") + np.searchsorted(outer, inner, "right")
    area = float(below.mean() / (2 * len(outer)))
    missed = np.searchsorted(inner, inner, "left") / len(inner)
    taken = 1.0 - np.searchsorted(outer, inner, "left") / len(outer)
    return area, float(inner[np.abs(missed - taken).argmin()])
