"""Figures of the model, each [value, low, high, n] with the ends of its 95 % interval.

Rates have Wilson's interval.  Means, and rates over several outcomes of each picture, have one from the
bootstrap over pictures (`velatura_lab.evaluation.statistics`).  The ends of a mean are None where its values
are fewer than FEW or all alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velatura_lab.evaluation.cases import Case
from velatura_lab.evaluation.metrics import psnr
from velatura_lab.evaluation.statistics import bootstrap, spearman
from velatura_lab.readers import Judge, Reading, matches
from velatura_lab.training.labels import readable
from velatura_lab.world import ATTRIBUTES, STYLES, render

from .asked import Ladder, Request
from .assess import FEW, Exam, ImageText, assess_judge, choose_caption, pooled, rate

BATCH = 64  # pictures in a batch of the judge
CHOICES = 16  # captions among which CLIP chooses

Figure = Sequence[float | None]
Figures = Mapping[str, Figure]


def mean(values: Sequence[float]) -> Figure:
    """The mean of independent values; no interval for fewer than FEW values or for equal ones."""
    estimate = bootstrap(values)
    if estimate.n < FEW or not estimate.high - estimate.low > 1e-9:
        return [round(estimate.mean, 4), None, None, estimate.n]
    return [*(round(value, 4) for value in (estimate.mean, estimate.low, estimate.high)), estimate.n]


def rates(pictures: Sequence[Mapping[str, bool]], order: Iterable[str]) -> Figures:
    """Rates over pictures of the outcomes by name, in this order of names, after that of "all" together."""
    names = {name: [own[name] for own in pictures if name in own] for name in order}
    every = pooled([list(own.values()) for own in pictures])
    return {"all": every, **{name: rate(own) for name, own in names.items() if own}}


def read(judge: Judge, images: Tensor) -> list[Reading]:
    return [reading for batch in images.split(BATCH) for reading in judge.read(batch)]


def rebuilding(rebuilt: Tensor, exam: Exam) -> Figures:
    """PSNR in dB of reconstructions against their renders, by style."""
    values = psnr(rebuilt.clamp(0.0, 1.0), exam.images).numpy()
    styles = np.array([scene.style for scene in exam.scenes])
    parts = {"all": values, **{style: values[styles == style] for style in STYLES}}
    return {name: mean(part.tolist()) for name, part in parts.items() if len(part)}


def judged(judge: Judge, exam: Exam, images: Tensor) -> Figures:
    """Share of right readings of each attribute that the pictures (N, 3, H, W) of an exam show."""
    assessed = assess_judge(judge, exam, images)
    attributes = {key.rpartition(".")[2]: value for key, value in assessed["attributes"].items()}
    return {"all": assessed["all"], **{name: value for name, value in attributes.items() if name != "kind"}}


def prompted(judge: Judge, images: Tensor, requests: Sequence[Request]) -> Figures:
    """Share of samples whose reading agrees with the prompt, by worded attribute; a degree within a third."""
    outcomes = [
        {name: matches(reading, request.scene, name) for name in request.names}
        for reading, request in zip(read(judge, images), requests, strict=True)
    ]
    return rates(outcomes, ATTRIBUTES[requests[0].scene.kind])


def unasked(judge: Judge, images: Tensor, requests: Sequence[Request]) -> Figure:
    """Share of absences of the scene, which the prompt leaves out, that the picture keeps."""
    outcomes: list[list[bool]] = []
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
    """Share of worded attributes that are read as prompted, by guidance scale of the pictures."""
    outcomes: dict[str, list[list[bool]]] = {}
    for reading, request, scale in zip(read(judge, images), requests, scales, strict=True):
        own = [matches(reading, request.scene, name) for name in request.names]
        outcomes.setdefault(f"{scale:g}", []).append(own)
    return {scale: pooled(own) for scale, own in sorted(outcomes.items())}


@torch.no_grad()
def graded(judge: Judge, images: Tensor, steps: Sequence[Ladder]) -> dict[str, Figures]:
    """By attribute, the mean over ladders of Spearman's rho of a degree's words with the degrees read.

    "samples" is the figure of the model.  "renders" is that of the exact pictures, the limit for any model.

    Args:
        judge: Reads the degrees.
        images: The samples (N, 3, H, W) of all prompts of all ladders, in their order.
        steps: The ladders.
    """
    values: dict[str, dict[str, list[float]]] = {}
    start = 0
    for ladder in steps:
        size = images.shape[-1]
        exact = torch.from_numpy(np.stack([render(scene, size).rgb for scene in ladder.scenes]))
        own = images[start : start + len(ladder.prompts)]
        start += len(own)
        for name, pictures in (("samples", own), ("renders", exact.permute(0, 3, 1, 2))):
            degrees = judge.degree(pictures, ladder.kind, ladder.attribute).tolist()
            correlation = spearman(range(len(degrees)), degrees)
            correlation = 0.0 if math.isnan(correlation) else correlation  # all degrees equal: no order
            values.setdefault(ladder.attribute, {}).setdefault(name, []).append(correlation)
    return {attribute: {name: mean(rhos) for name, rhos in own.items()} for attribute, own in values.items()}


def combinations(
    judge: Judge, images: Mapping[str, Tensor], requests_by_title: Mapping[str, Sequence[Request]]
) -> dict[str, Figures]:
    """By held-out combination, the share of samples that show all of it, and each of its attributes."""
    found: dict[str, Figures] = {}
    for title, requests in requests_by_title.items():
        pairs = list(zip(read(judge, images[title]), requests, strict=True))
        parts = {name: [matches(r, q.scene, name) for r, q in pairs] for name in requests[0].names}
        whole = [all(outcomes) for outcomes in zip(*parts.values(), strict=True)]
        found[title] = {"all": rate(whole), **{name: rate(outcomes) for name, outcomes in parts.items()}}
    return found


def _target(case: Case) -> Any:
    """The scene of a case's target."""
    if case.scenes is None:
        raise ValueError(f"the case {case.edit!r} is of a photograph, which has no scene to compare with")
    return case.scenes[1]


def can_be_read(case: Case) -> bool:
    """Whether the target of an edit shows the edited attribute."""
    target = _target(case)
    picture = render(target, case.source.shape[0])
    return readable(target, case.attribute, set(filter(picture.shows, picture.elements)))


def edited(
    judge: Judge, pictures: Sequence[NDArray[np.float32]], cases: Sequence[Case]
) -> dict[str, Figures]:
    """Share of edits whose result is read as asked, by attribute and by the edit's name."""
    readings = read(judge, torch.from_numpy(np.stack(pictures)))
    pairs = zip(readings, cases, strict=True)
    right = [matches(reading, _target(case), case.attribute) for reading, case in pairs]
    parts = {"attributes": [case.attribute for case in cases], "edits": [case.edit for case in cases]}
    return {
        part: rates([{name: own} for name, own in zip(names, right, strict=True)], sorted(set(names)))
        for part, names in parts.items()
    }


def right_caption(
    clip: ImageText, images: Tensor, prompts: Sequence[str], others: Sequence[str], seed: int
) -> dict[str, Any] | None:
    """The "share" of samples whose prompt CLIP chooses, "of" at most CHOICES prompts; None without a choice.

    Args:
        clip: Scores prompts.
        images: The samples (N, 3, H, W).
        prompts: The N right prompts.
        others: Prompts from which the wrong ones are drawn; they contain `prompts`.
        seed: Of the draw.
    """
    rng = np.random.default_rng([seed, 5])
    rows: list[list[str]] = []
    for prompt in prompts:
        wrong = [text for text in dict.fromkeys(others) if text != prompt]
        rows.append([prompt, *(wrong[k] for k in rng.permutation(len(wrong))[: CHOICES - 1])])
    of = min(CHOICES, len(set(others)))
    return {"share": rate(choose_caption(clip, images, rows)), "of": of} if of > 1 else None
