"""What there is to read in each picture of a set, as targets for a network with the judge's questions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.readers.judge import STEPS, Question, questions_of
from velatura.world import ATTRIBUTES

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


def two_hot(value: float, size: int = STEPS) -> Tensor:
    """A degree as weights (size,) of the two nearest of `size` even steps from 0 to 1, mean `value`.

    A degree is learnt as a choice among steps, whose mean is then read (Farebrother et al. 2024, "Stop
    Regressing", section 3.1).
    """
    place = min(max(value, 0.0), 1.0) * (size - 1)
    low = min(int(place), size - 2)
    return torch.zeros(size).scatter_(
        0, torch.tensor([low, low + 1]), torch.tensor([low + 1 - place, place - low])
    )


def target(question: Question, scene: Any, seen: Collection[str]) -> Tensor:
    """Probabilities (question.size,) of the answers; all zero where the picture does not tell."""
    if question.kind not in ("", scene.kind) or not readable(scene, question.name, seen):
        return torch.zeros(question.size)
    value = getattr(scene, question.name)
    if not question.values:
        return two_hot(float(value))
    return F.one_hot(torch.tensor(question.values.index(value)), question.size).float()


class Labels:
    """Targets for the scenes `first`, `first + step`, ... of a set, as one matrix (n, sum of sizes)."""

    def __init__(self, data: Dataset, first: int = 0, step: int = 1) -> None:
        self.questions = questions()
        self.sizes = [question.size for question in self.questions]
        self.indices = range(first, len(data), step)
        self.matrix = torch.stack([self.row(data.scene(n), data.visible(n)) for n in self.indices])

    def row(self, scene: Any, seen: Collection[str]) -> Tensor:
        return torch.cat([target(question, scene, seen) for question in self.questions])

    def loss(self, logits: Tensor, targets: Tensor, smoothing: float = 0.02) -> Tensor:
        """Cross-entropy of logits and targets (n, sum of sizes), summed over questions, mean over n."""
        total = logits.new_zeros(())
        parts = zip(logits.float().split(self.sizes, 1), targets.split(self.sizes, 1), strict=True)
        for rows, wanted in parts:
            asked = wanted.sum(1, keepdim=True)
            wanted = (1.0 - smoothing) * wanted + smoothing * asked / wanted.shape[1]
            total = total - (wanted * rows.log_softmax(1)).sum()
        return total / len(logits)
