"""What the readers can do, in figures, on scenes no training step saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velatura.companions.clip import Encoder
from velatura_lab.evaluation.statistics import ratio, wilson
from velatura_lab.readers import IdentityEncoder, Judge, Segmenter, matches
from velatura_lab.training.data import VISIBLE
from velatura_lab.training.identity import portrait_of
from velatura_lab.training.labels import questions, readable
from velatura_lab.training.negatives import changed
from velatura_lab.world import KINDS, Picture, caption, elements, render, sample_scene

HELD_OUT = 424_242  # scenes are drawn from [seed, HELD_OUT, i], those of training from [seed, i]
FEW = 5  # of fewer values a resampled interval says nothing
EMPTY = 0.01  # a mask of less than this part of the picture counts as empty

Figures = dict[str, Any]


class Exam:
    """Held-out scenes with their pictures; `kind`: of one kind only."""

    def __init__(self, seed: int, count: int, kind: str | None = None, size: int = 128) -> None:
        rngs = [np.random.default_rng([seed, HELD_OUT, index]) for index in range(count)]
        self.scenes = [sample_scene(rng, kind) for rng in rngs]
        self.pictures: list[Picture] = [render(scene, size) for scene in self.scenes]

    @property
    def images(self) -> Tensor:
        """(N, 3, size, size) in 0..1."""
        return torch.stack([torch.from_numpy(picture.rgb) for picture in self.pictures]).permute(0, 3, 1, 2)

    def seen(self, index: int) -> frozenset[str]:
        picture = self.pictures[index]
        return frozenset(
            name
            for name, mask in zip(picture.elements, picture.masks, strict=True)
            if float(mask.mean()) > VISIBLE
        )


def rate(outcomes: Sequence[bool]) -> list[float]:
    """[share of True, lower and upper end of its interval of 95 % (Wilson 1927), n]."""
    found = wilson(sum(outcomes), len(outcomes))
    return [*(round(value, 4) for value in (found.mean, found.low, found.high)), found.n]


def pooled(pictures: Sequence[Sequence[bool]]) -> list[float]:
    """All outcomes together, of which several are of one picture: `rate`'s four, n being of pictures.

    Outcomes of one picture depend on each other, so that whole pictures are resampled (cluster bootstrap,
    Davison & Hinkley 1997, section 3.8).  Where this says nothing, the interval is Wilson's with a picture
    for a trial.
    """
    asked = [own for own in pictures if own]
    right, outcomes = sum(map(sum, asked)), sum(map(len, asked))
    if not asked or outcomes == len(asked):
        return rate([own[0] for own in asked])
    found = ratio([sum(own) for own in asked], [len(own) for own in asked])
    if len(asked) < FEW or not found.high - found.low > 1e-9:
        found = wilson(len(asked) * right / outcomes, len(asked))
    return [*(round(value, 4) for value in (found.mean, found.low, found.high)), len(asked)]


def assess_judge(judge: Judge, exam: Exam, images: Tensor | None = None) -> Figures:
    """How often each attribute is read as it is, where the picture shows it; mean error of degrees."""
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


def choose_caption(clip: Encoder, images: Tensor, captions: Sequence[Sequence[str]]) -> list[bool]:
    """Whether the first of the captions given for each picture fits it best."""
    flat = [text for own in captions for text in own]
    with torch.no_grad():
        texts = torch.cat([clip.texts(flat[first : first + 256]) for first in range(0, len(flat), 256)])
        texts = texts.unflatten(0, (len(captions), -1))
        scores = torch.einsum("nd,ncd->nc", embedded(clip, images), texts)
    return (scores.argmax(1) == 0).tolist()


@torch.no_grad()
def embedded(reader: Encoder, images: Tensor) -> Tensor:
    """(N, dimension), in batches."""
    return torch.cat([reader.images(images[first : first + 64]) for first in range(0, len(images), 64)])


def assess_clip(clip: Encoder, exam: Exam, seed: int, choices: int = 16) -> Figures:
    """How often the right one of `choices` full captions fits a picture best.

    any: the others are of random scenes; alike: of scenes of the same kind; one thing: of the same scene with
    one attribute changed; pair: the same, and there is only one other.  What there are too few others for
    is left out.
    """
    rng = np.random.default_rng([seed, 5])
    told = [caption(scene, None, exam.seen(n).__contains__).text for n, scene in enumerate(exam.scenes)]
    kinds = np.array([scene.kind for scene in exam.scenes])
    rows: dict[str, list[list[str]]] = {"any": [], "alike": [], "one thing": [], "pair": []}
    for index, scene in enumerate(exam.scenes):
        for name, among in (("any", np.ones(len(kinds), bool)), ("alike", kinds == scene.kind)):
            others = [k for k in rng.permutation(np.flatnonzero(among)) if told[k] != told[index]]
            rows[name].append([told[index], *(told[k] for k in others[: choices - 1])])
        near = one_thing(scene, exam.seen(index), rng, choices - 1)
        rows["one thing"].append([told[index], *near])
        rows["pair"].append([told[index], *near[:1]])
    return {
        name: rate(choose_caption(clip, exam.images, captions))
        for name, captions in rows.items()
        if {len(own) for own in captions} == {2 if name == "pair" else choices}
    }


def one_thing(scene: Any, seen: frozenset[str], rng: np.random.Generator, count: int) -> list[str]:
    """Full captions of the scene with one attribute changed, all different from its own."""
    own, found = caption(scene, None, seen.__contains__).text, []
    for _ in range(20 * count):
        _, other = changed(scene, seen, rng)
        new = caption(other).elements() - caption(scene).elements()
        text = caption(other, None, (seen | new).__contains__).text
        if text != own:
            found.append(text)
        if len(found) == count:
            break
    return found


@torch.no_grad()
def assess_segmenter(segmenter: Segmenter, exams: Sequence[Exam]) -> Figures:
    """Intersection over union with the exact masks, by element; how often nothing is found in nothing."""
    found: dict[str, list[float]] = {}
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
                found.setdefault(name, []).append(int((mask & exact).sum()) / either if either else 1.0)
    means = {name: [round(float(np.mean(values)), 3), len(values)] for name, values in sorted(found.items())}
    return {
        "mean over elements": round(float(np.mean([mean for mean, _ in means.values()])), 3),
        "elements": means,
        "empty where there is none": pooled(empty),
    }


def assess_identity(encoder: IdentityEncoder, seed: int, people: int = 200) -> Figures:
    """Portraits of people no training step saw, two of each on different days.

    verification: area under the curve (equal to the chance that a pair of one person is closer than one of
    two); alike: against people of the same sex and skin only.  rank-1: how often, of 50 people, the nearest
    is the right one.  threshold: the cosine at which both errors are equal.
    """
    scenes, portraits = [], []
    for index in range(people):
        rng = np.random.default_rng([seed, HELD_OUT, 7, index])
        scenes.append(sample_scene(rng, "portrait"))
        portraits.append([render(portrait_of(scenes[-1], rng), 128).rgb for _ in range(2)])
    images = torch.from_numpy(np.array(portraits)).permute(1, 0, 4, 2, 3)  # (2, people, 3, 128, 128)
    with torch.no_grad():
        first, second = (torch.cat([encoder.embed(part) for part in side.split(64)]) for side in images)
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


def separation(inner: np.ndarray, outer: np.ndarray) -> tuple[float, float]:
    """(area under the ROC curve, threshold of equal error) of similarities of same and different pairs."""
    inner, outer = np.sort(inner), np.sort(outer)
    below = np.searchsorted(outer, inner, "left") + np.searchsorted(outer, inner, "right")
    area = float(below.mean() / (2 * len(outer)))
    missed = np.searchsorted(inner, inner, "left") / len(inner)
    taken = 1.0 - np.searchsorted(outer, inner, "left") / len(outer)
    return area, float(inner[np.abs(missed - taken).argmin()])
