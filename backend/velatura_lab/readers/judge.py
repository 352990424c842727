"""The judge: a small network that reads kind of scene, style and every attribute from a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from velatura.bundles import BUNDLES
from velatura.companions.convolutions import CHANNELS, Residual, convolutions
from velatura.weights.json_files import read_object

from .pictures import fit

BUNDLE = BUNDLES / "velatura-judge"
STEPS = 9  # classes of a degree, evenly spaced from 0 to 1
NEAR = 1.0 / 3.0  # largest error of a degree that counts as right


@dataclass(frozen=True)
class Question:
    """One thing to read: a choice among `values`, or without values a degree from 0 to 1.

    `kind` is the kind of scene that it applies to, "" for all.
    """

    kind: str
    name: str
    values: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        return len(self.values) or STEPS

    @property
    def key(self) -> str:
        return f"{self.kind}.{self.name}" if self.kind else self.name


@dataclass(frozen=True)
class Reading:
    """The judge's reading of one picture.

    Args:
        kind: The kind of scene.
        values: "style" and each attribute of the kind -> value; a degree is a number from 0 to 1.
        confidence: The same names and "kind" -> the value's probability; for a degree, that of the values
            within a sixth of it.
    """

    kind: str
    values: dict[str, Any]
    confidence: dict[str, float]


def matches(reading: Reading, scene: Any, attribute: str) -> bool:
    """Whether a reading agrees with a scene in an attribute, "style" or "kind"; a degree within NEAR."""
    if reading.kind != scene.kind or attribute == "kind":
        return reading.kind == scene.kind
    value, target = reading.values[attribute], getattr(scene, attribute)
    return abs(value - target) <= NEAR if isinstance(target, float) else bool(value == target)


class Judge(nn.Module):
    """Strided convolutions, then an attention over places for each question.

    The answer to a question is a linear map of three features: the mean and the maximum over the picture, and
    an average weighted by the question's attention, which has a query and a bias for each place.
    """

    owner: Tensor
    steps: Tensor

    def __init__(self, questions: list[Question], channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        self.questions = questions
        self.sizes = [question.size for question in questions]
        self.body = nn.Sequential(*convolutions(channels), Residual(channels[-1]))
        width, side = channels[-1], 128 >> len(channels)
        self.query = nn.Parameter(0.02 * torch.randn(len(questions), width))
        self.place = nn.Parameter(torch.zeros(len(questions), side * side))
        self.whole = nn.Linear(2 * width, sum(self.sizes))
        self.part = nn.Parameter(0.02 * torch.randn(sum(self.sizes), width))
        owner = torch.repeat_interleave(torch.arange(len(questions)), torch.tensor(self.sizes))
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("steps", torch.linspace(0.0, 1.0, STEPS), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, 128, 128) in 0..1 -> for each question, logits (N, its size)."""
        features = self.body(images * 2.0 - 1.0).flatten(2)  # (N, C, P)
        attention = (torch.einsum("qc,ncp->nqp", self.query, features) + self.place).softmax(2)
        attended = torch.einsum("nqp,ncp->nqc", attention, features)
        pooled = torch.cat([features.mean(2), features.amax(2)], 1)
        logits = self.whole(pooled) + (attended[:, self.owner] * self.part).sum(2)
        return logits.split(self.sizes, 1)

    def log_probabilities(self, images: Tensor) -> dict[str, Tensor]:
        """Images (N, 3, H, W) in 0..1 -> log-probabilities (N, size) by the questions' keys."""
        logits = self(fit(images))
        return {q.key: row.log_softmax(1) for q, row in zip(self.questions, logits, strict=True)}

    def degree(self, images: Tensor, kind: str, name: str) -> Tensor:
        """A degree of each picture, (N,) in 0..1: the mean of its distribution."""
        return self.log_probabilities(images)[f"{kind}.{name}"].exp() @ self.steps

    @torch.no_grad()
    def read(self, images: Tensor) -> list[Reading]:
        """Images (N, 3, H, W) in 0..1 -> a reading of each."""
        self.eval()
        table = {key: rows.exp().cpu() for key, rows in self.log_probabilities(images).items()}
        by_key = {question.key: question for question in self.questions}
        readings: list[Reading] = []
        for n in range(len(images)):
            kind, probability = _answer(by_key["kind"], table["kind"][n])
            values: dict[str, Any] = {}
            confidence = {"kind": probability}
            for question in self.questions:
                if question.name != "kind" and question.kind in ("", kind):
                    answer = _answer(question, table[question.key][n])
                    values[question.name], confidence[question.name] = answer
            readings.append(Reading(kind, values, confidence))
        return readings


def _answer(question: Question, probabilities: Tensor) -> tuple[Any, float]:
    """(value, confidence) from probabilities (size,)."""
    if question.values:
        best = int(probabilities.argmax())
        return question.values[best], float(probabilities[best])
    steps = torch.linspace(0.0, 1.0, STEPS)
    value = float(probabilities @ steps)
    near = (steps - value).abs() <= NEAR / 2.0
    return min(max(value, 0.0), 1.0), float(probabilities[near].sum())


def questions_of(kinds: Mapping[str, Mapping[str, Any]]) -> list[Question]:
    """Questions in a fixed order.  `kinds`: kind -> attribute -> its values, empty for a degree."""
    return [Question("", "kind", tuple(kinds))] + [
        Question(kind, name, tuple(values))
        for kind, attributes in kinds.items()
        for name, values in attributes.items()
    ]


def load_judge(folder: Path = BUNDLE) -> Judge:
    """The package's trained judge, or the one in `folder`."""
    config = read_object(folder / "config.json")
    questions = [Question(q["kind"], q["name"], tuple(q["values"])) for q in config["questions"]]
    judge = Judge(questions, tuple(config["channels"]))
    state = load_file(folder / "judge.safetensors")
    judge.load_state_dict({key: value.float() for key, value in state.items()}, strict=False)
    return judge.eval().requires_grad_(False)
