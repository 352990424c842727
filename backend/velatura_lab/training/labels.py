"""What there is to read in each picture of a set, as targets for a network with the judge's questions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velatura_lab.readers.judge import STEPS, Question, questions_of
from velatura_lab.world import ATTRIBUTES

from .data import Dataset


def questions() -> list[Question]:
    """Kind of scene, style, and every attribute of every kind; styles are the same in all kinds."""
    kinds = {
        kind: {name: a.values for name, a in attributes.items() if name != "style"}
        for kind, attributes in ATTRIBUTES.items()
    }
    styles = next(iter(ATTRIBUTES.values()))["style"].values
    first, *others = questions_of(kinds)
    return [first, Question("", "style", tuple(styles)), *others]


def readable(scene: Any, name: str, seen: Collection[str]) -> bool:
    """Whether a picture in which these elements are in view shows an attribute of its scene."""
    if name in ("kind", "style"):
        return True
    attribute = ATTRIBUTES[scene.kind][name]
    if not attribute.applies(scene):
        return False
    return getattr(scene, name) == attribute.absent or attribute.element in seen


def two_hot(value: float, size: int = STEPS) -> dict[int, float]:
    """A degree as weights of the two nearest of `size` even steps from 0 to 1, so that their mean is `value`.

    A degree is learnt as a choice among steps, whose mean is then read (Farebrother et al. 2024, "Stop
    Regressing", section 3.1).
    """
    place = min(max(value, 0.0), 1.0) * (size - 1)
    low = min(int(place), size - 2)
    return {low: low + 1 - place, low + 1: place - low}


def answer(question: Question, scene: Any) -> dict[int, float]:
    """Number of the answer that is right for a scene -> its probability; of a degree, of two steps."""
    value = getattr(scene, question.name)
    return {question.values.index(value): 1.0} if question.values else two_hot(float(value))


class Labels:
    """Targets for the scenes `first`, `first + step`, ... of a set, as one matrix (n, sum of sizes).

    Probabilities of each question's answers; all zero where a picture does not tell.
    """

    def __init__(self, data: Dataset, first: int = 0, step: int = 1) -> None:
        self.questions = questions()
        self.sizes = [question.size for question in self.questions]
        self.indices = range(first, len(data), step)
        self.matrix = torch.zeros(len(self.indices), sum(self.sizes))
        rows = self.matrix.numpy()
        for row, index in zip(rows, self.indices, strict=True):
            self.fill(row, data.scene(index), data.visible(index))

    def fill(self, row: NDArray[np.float32], scene: Any, seen: Collection[str]) -> None:
        """Write a scene's targets into zeros (sum of sizes,)."""
        start = 0
        for question, size in zip(self.questions, self.sizes, strict=True):
            if question.kind in ("", scene.kind) and readable(scene, question.name, seen):
                for number, probability in answer(question, scene).items():
                    row[start + number] = probability
            start += size

    def loss(self, logits: Tensor, targets: Tensor, smoothing: float = 0.02) -> Tensor:
        """Cross-entropy of logits and targets (n, sum of sizes), summed over questions, mean over n."""
        total = logits.new_zeros(())
        parts = zip(logits.float().split(self.sizes, 1), targets.split(self.sizes, 1), strict=True)
        for rows, wanted in parts:
            asked = wanted.sum(1, keepdim=True)
            wanted = (1.0 - smoothing) * wanted + smoothing * asked / wanted.shape[1]
            total = total - (wanted * rows.log_softmax(1)).sum()
        return total / len(logits)
