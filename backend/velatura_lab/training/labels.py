"""The visible attributes of each picture of a set, as targets for the judge's questions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from velatura_lab.readers.judge import STEPS, Question, questions_of
from velatura_lab.world import ATTRIBUTES

from .data import Dataset


def questions() -> list[Question]:
    """Kind of scene, style (the same in all kinds), and every attribute of every kind."""
    kinds = {
        kind: {name: a.values for name, a in attributes.items() if name != "style"}
        for kind, attributes in ATTRIBUTES.items()
    }
    styles = next(iter(ATTRIBUTES.values()))["style"].values
    first, *others = questions_of(kinds)
    return [first, Question("", "style", tuple(styles)), *others]


def readable(scene: Any, name: str, seen: Collection[str]) -> bool:
    """Whether a picture with these elements in view shows an attribute of its scene."""
    if name in ("kind", "style"):
        return True
    attribute = ATTRIBUTES[scene.kind][name]
    if not attribute.applies(scene):
        return False
    return getattr(scene, name) == attribute.absent or attribute.element in seen


def two_hot(value: float, size: int = STEPS) -> dict[int, float]:
    """A degree as weights of the nearest two of `size` even steps from 0 to 1, with `value` as their mean.

    A network learns a degree as a choice among steps and reads it as their mean (Farebrother et al. 2024,
    "Stop Regressing", section 3.1).
    """
    place = min(max(value, 0.0), 1.0) * (size - 1)
    low = min(int(place), size - 2)
    return {low: low + 1 - place, low + 1: place - low}


def answer(question: Question, scene: Any) -> dict[int, float]:
    """Index of the right answer for a scene -> its probability; for a degree, of two steps."""
    value = getattr(scene, question.name)
    return {question.values.index(value): 1.0} if question.values else two_hot(float(value))


class Answers:
    """The questions, with their answers side by side in one row (sum of sizes,)."""

    def __init__(self) -> None:
        self.questions = questions()
        self.sizes = [question.size for question in self.questions]

    def row(self, scene: Any, seen: Collection[str]) -> Tensor:
        """A scene's targets: the probabilities of each question's answers, all 0 where the picture does not
        show the answer."""
        row = torch.zeros(sum(self.sizes))
        start = 0
        for question, size in zip(self.questions, self.sizes, strict=True):
            if question.kind in ("", scene.kind) and readable(scene, question.name, seen):
                for number, probability in answer(question, scene).items():
                    row[start + number] = probability
            start += size
        return row

    def loss(self, logits: Tensor, targets: Tensor, smoothing: float = 0.02) -> Tensor:
        """Cross-entropy of logits and targets (n, sum of sizes), summed over questions, mean over n."""
        total = logits.new_zeros(())
        parts = zip(logits.float().split(self.sizes, 1), targets.split(self.sizes, 1), strict=True)
        for rows, target in parts:
            shown = target.sum(1, keepdim=True)  # 0 or 1
            target = (1.0 - smoothing) * target + smoothing * shown / target.shape[1]
            total = total - (target * rows.log_softmax(1)).sum()
        return total / len(logits)


class Labels(Answers):
    """Targets for the scenes `first`, `first + step`, ... of a set, as one matrix (n, sum of sizes)."""

    def __init__(self, data: Dataset, first: int = 0, step: int = 1) -> None:
        super().__init__()
        self.indices = range(first, len(data), step)
        self.matrix = torch.stack([self.row(data.scene(k), data.visible(k)) for k in self.indices])
