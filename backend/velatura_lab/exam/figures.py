"""What the model can do, in figures: each is [value, lower end, upper end, n] with an interval of 95 %.

Rates have Wilson's interval; means, and rates of several outcomes of each picture, one from the bootstrap
over pictures (`velatura_lab.evaluation.statistics`).  A mean's ends are None where its values are too few
or too much alike to say anything of others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velatura.companions.clip import Encoder
from velatura_lab.evaluation.cases import Case
from velatura_lab.evaluation.metrics import psnr
from velatura_lab.evaluation.statistics import bootstrap, spearman
from velatura_lab.readers import Judge, Reading, matches
from velatura_lab.training.labels import readable
from velatura_lab.world import ATTRIBUTES, STYLES, render

from .asked import Ladder, Request
from .assess import FEW, Exam, assess_judge, choose_caption, pooled, rate

BATCH = 64  # pictures the judge reads at once
CHOICES = 16  # captions that CLIP chooses among

Figure = list[float | None]
Figures = dict[str, Figure]


def mean(values: Sequence[float]) -> Figure:
    """The mean of independent values, without an interval where they are fewer than FEW or all alike."""
    found = bootstrap(values)
    if found.n < FEW or not found.high - found.low > 1e-9:
        return [round(found.mean, 4), None, None, found.n]
    return [*(round(value, 4) for value in (found.mean, found.low, found.high)), found.n]


def rates(pictures: Sequence[Mapping[str, bool]], order: Iterable[str]) -> Figures:
    """The outcomes of each picture, by name and of "all" together; names in their order."""
    names = {name: [own[name] for own in pictures if name in own] for name in order}
    every = pooled([list(own.values()) for own in pictures])
    return {"all": every, **{name: rate(own) for name, own in names.items() if own}}


def read(judge: Judge, images: Tensor) -> list[Reading]:
    return [reading for batch in images.split(BATCH) for reading in judge.read(batch)]


def rebuilding(rebuilt: Tensor, exam: Exam) -> Figures:
    """PSNR in dB of reconstructions with their renders, by style."""
    values = psnr(rebuilt.clamp(0.0, 1.0), exam.images).numpy()
    styles = np.array([scene.style for scene in exam.scenes])
    parts = {"all": values, **{style: values[styles == style] for style in STYLES}}
    return {name: mean(part.tolist()) for name, part in parts.items() if len(part)}


def judged(judge: Judge, exam: Exam, images: Tensor) -> Figures:
    """How often the judge reads each attribute as it is, where the picture shows it."""
    found = assess_judge(judge, exam, images)
    attributes = {key.rpartition(".")[2]: value for key, value in found["attributes"].items()}
    return {"all": found["all"], **{name: value for name, value in attributes.items() if name != "kind"}}


def prompted(judge: Judge, images: Tensor, requests: Sequence[Request]) -> Figures:
    """How often each attribute that a prompt says is read as it says; a degree within a third."""
    outcomes = [
        {name: matches(reading, request.scene, name) for name in request.names}
        for reading, request in zip(read(judge, images), requests, strict=True)
    ]
    return rates(outcomes, ATTRIBUTES[requests[0].scene.kind])


def unasked(judge: Judge, images: Tensor, requests: Sequence[Request]) -> Figure:
    """How often what a scene has none of, and its prompt therefore leaves out, is not in the picture."""
    outcomes = []
    for reading, request in zip(read(judge, images), requests, strict=True):
        scene = request.scene
        absent = (
            name
            for name, attribute in ATTRIBUTES[scene.kind].items()
            if getattr(scene, name) == attribute.absent and attribute.applies(scene)
        )
        outcomes.append([matches(reading, scene, name) for name in absent])
    return pooled(outcomes)


def by_guidance(
    judge: Judge, images: Tensor, requests: Sequence[Request], scales: Iterable[float]
) -> Figures:
    """How often what prompts say is read, by the guidance scale of each picture."""
    outcomes: dict[str, list[list[bool]]] = {}
    for reading, request, scale in zip(read(judge, images), requests, scales, strict=True):
        found = [matches(reading, request.scene, name) for name in request.names]
        outcomes.setdefault(f"{scale:g}", []).append(found)
    return {scale: pooled(found) for scale, found in sorted(outcomes.items())}


@torch.no_grad()
def graded(judge: Judge, images: Tensor, steps: Sequence[Ladder]) -> dict[str, Figures]:
    """By attribute: how the order of a degree's words agrees with the degrees read, mean of Spearman's rho.

    Beside it, under "renders", the same for the exact pictures, which no model can be read better than.
    images: of all prompts of all ladders in their order.
    """
    found: dict[str, dict[str, list[float]]] = {}
    start = 0
    for ladder in steps:
        size = images.shape[-1]
        exact = torch.from_numpy(np.stack([render(scene, size).rgb for scene in ladder.scenes]))
        own = images[start : start + len(ladder.prompts)]
        start += len(own)
        for name, pictures in (("samples", own), ("renders", exact.permute(0, 3, 1, 2))):
            degrees = judge.degree(pictures, ladder.kind, ladder.attribute).tolist()
            correlation = spearman(range(len(degrees)), degrees)
            correlation = 0.0 if math.isnan(correlation) else correlation  # all read alike: no order
            found.setdefault(ladder.attribute, {}).setdefault(name, []).append(correlation)
    return {
        attribute: {name: mean(values) for name, values in own.items()} for attribute, own in found.items()
    }


def combinations(judge: Judge, images: Mapping[str, Tensor], asked: Mapping[str, Sequence[Request]]) -> Any:
    """By combination that training never saw: how often all of it is read, and each part."""
    found = {}
    for title, requests in asked.items():
        pairs = list(zip(read(judge, images[title]), requests, strict=True))
        parts = {name: [matches(r, q.scene, name) for r, q in pairs] for name in requests[0].names}
        whole = [all(outcomes) for outcomes in zip(*parts.values(), strict=True)]
        found[title] = {"all": rate(whole), **{name: rate(outcomes) for name, outcomes in parts.items()}}
    return found


def can_be_read(case: Case) -> bool:
    """Whether the edit's target shows what it changed."""
    target = case.scenes[1]
    picture = render(target, case.source.shape[0])
    return readable(target, case.attribute, set(filter(picture.shows, picture.elements)))


def edited(
    judge: Judge, pictures: Sequence[NDArray[np.float32]], cases: Sequence[Case]
) -> dict[str, Figures]:
    """How often an edit is read as asked: by attribute, and by the edit's name."""
    readings = read(judge, torch.from_numpy(np.stack(pictures)))
    pairs = zip(readings, cases, strict=True)
    right = [matches(reading, case.scenes[1], case.attribute) for reading, case in pairs]
    parts = {"attributes": [case.attribute for case in cases], "edits": [case.edit for case in cases]}
    return {
        part: rates([{name: own} for name, own in zip(names, right, strict=True)], sorted(set(names)))
        for part, names in parts.items()
    }


def right_caption(
    clip: Encoder, images: Tensor, prompts: Sequence[str], others: Sequence[str], seed: int
) -> dict[str, Any] | None:
    """How often CLIP finds a sample's prompt among others: "share", and "of" how many, at most CHOICES.

    others: prompts the wrong ones are drawn from, with `prompts` among them.  None if there is no wrong one.
    """
    rng = np.random.default_rng([seed, 5])
    rows = []
    for prompt in prompts:
        wrong = [text for text in dict.fromkeys(others) if text != prompt]
        rows.append([prompt, *(wrong[k] for k in rng.permutation(len(wrong))[: CHOICES - 1])])
    of = min(CHOICES, len(set(others)))
    return {"share": rate(choose_caption(clip, images, rows)), "of": of} if of > 1 else None
