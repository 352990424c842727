"""How well a CLIP tells pictures apart that differ in one thing, and how well single words find pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velatura_lab.evaluation.statistics import auc
from velatura_lab.training.negatives import other_value
from velatura_lab.training.truth import Told, numbers
from velatura_lab.world import KINDS, Caption, Word, edit, render
from velatura_lab.world.pairs import Pair, pairs

from .assess import Exam, Figures, ImageText, embedded, rate

#: Words that stand alone in the texts of edits by CLIP.
PORTRAIT_WORDS = tuple(
    Word(text, element)
    for element, texts in {
        "glasses": ("glasses", "sunglasses"),
        "face": ("old", "young", "bald"),
        "mouth": ("smiling",),
        "hat": ("hat", "beanie"),
        "beard": ("beard", "stubble"),
        "hair": ("long", "curly", "red", "blond", "grey"),
        "shirt": ("blue", "striped"),
    }.items()
    for text in texts
)
FEWEST = 15  # pictures of which a word is true, and of which it is not


def assess_near(clip: ImageText, seed: int, count: int) -> Figures:
    """Share of edits whose exact target fits the target's caption better than the unchanged source does, and
    better than the same scene with another value of the attribute.

    Args:
        clip: Reads pictures and captions.
        seed: Of the edits, which no training step saw.
        count: Edits of each kind of scene.
    """
    outcomes: dict[str, list[bool]] = {"source": [], "another value": []}
    for kind in KINDS:
        rng = np.random.default_rng([seed, 6])
        for pair in pairs(kind, count, seed):
            for name, other in _others(pair, rng):
                better, worse = clip.images(torch.cat([_pixels(pair.target), _pixels(other)])) @ _text(
                    clip, pair.target_caption
                )
                outcomes[name].append(bool(better > worse))
    return {name: rate(told) for name, told in outcomes.items()}


def _others(pair: Pair, rng: np.random.Generator) -> Iterator[tuple[str, Any]]:
    yield "source", pair.source
    value = other_value(pair.target, pair.attribute, rng)
    if value != getattr(pair.source, pair.attribute):
        yield "another value", edit(pair.target, **{pair.attribute: value})


def _pixels(scene: Any) -> Tensor:
    return torch.from_numpy(render(scene, 128).rgb).permute(2, 0, 1)[None]


def _text(clip: ImageText, item: Caption) -> Tensor:
    with torch.no_grad():
        return clip.texts([item.text])[0]


def assess_words(clip: ImageText, exam: Exam, words: Sequence[Word]) -> dict[str, float]:
    """Area under the ROC curve of each word alone, among the pictures of a kind, where it is true of some and
    not of others."""
    told = [Told(scene, exam.seen(n), (0, n)) for n, scene in enumerate(exam.scenes)]
    seen = embedded(clip, exam.images)
    areas: dict[str, float] = {}
    for word in words:
        (n,) = numbers(Caption((word,)))
        right = [n in one.possible for one in told]
        if min(sum(right), len(right) - sum(right)) >= FEWEST:
            scores = seen @ _text(clip, Caption((word,)))
            areas[f"{word.element}: {word.text}"] = round(auc(scores.tolist(), right), 3)
    return areas
