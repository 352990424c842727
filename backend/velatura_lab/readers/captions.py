"""Captions of pictures of the drawn world: the judge's reading, worded by the world's own grammar.

A caption is worded first.  For each attribute, the values that would be worded the same are then the
caption's claim, and the judge gives the probability of the claim.  The grammar thus stays as training knows
it, and no rule has to know which phrase is about which attribute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from velatura_lab.world import ATTRIBUTES, Teller, Word, edit, sample_scene
from velatura_lab.world.attributes import NOTHING, Attribute, degree_class, degree_value
from velatura_lab.world.scene import kind_of

from .judge import Judge

Option = TypeVar("Option")

SURE = 0.9
"""Least probability of a claim that is worth its words: a false claim costs as much as SURE / (1 - SURE) true
ones gain. Chosen on rendered pictures, see `tests/lab/readers/test_captions.py`."""
CAPTIONS = 4
_NEGLIGIBLE = 1e-3
_TRIES = 16  # at other wordings of the same
_UNREAD = frozenset({"sun", "moon"})  # elements without a question of the judge

Choice = tuple[Any, ...]
"""The subject of a choice of the grammar, and its number among choices with this subject."""
Options = tuple[Any, ...]
"""All options of a choice."""


@dataclass(frozen=True)
class ClaimedCaption:
    """A caption with its claims: for each attribute that it words, the values for which it is true."""

    text: str
    kind: str
    claims: dict[str, frozenset[Any]]


@dataclass(frozen=True)
class Beliefs:
    """Beliefs about one picture: its kind, and probabilities of the values of each attribute.

    A degree's values are the middles of its words' ranges, and absence where the degree has it.
    """

    kind: str
    values: dict[str, dict[Any, float]]

    @classmethod
    def of(cls, kind: str, log_probabilities: dict[str, Tensor]) -> Beliefs:
        """Beliefs from the log-probabilities (size,) of each of the judge's questions."""
        values: dict[str, dict[Any, float]] = {}
        for name, attribute in ATTRIBUTES[kind].items():
            p = log_probabilities[name if name == "style" else f"{kind}.{name}"].double().exp().tolist()
            if attribute.degree:
                values[name] = _degrees(attribute, p)
            else:
                values[name] = dict(zip(attribute.values, p, strict=True))
        return cls(kind, values)

    def scene(self) -> Any:
        """The scene of the likeliest values."""
        likeliest = {name: max(values, key=values.__getitem__) for name, values in self.values.items()}
        return edit(sample_scene(np.random.default_rng(0), self.kind), **likeliest)

    def worth(self, caption: ClaimedCaption) -> float:
        """Expected gain of a caption: 1 for each true claim, less SURE / (1 - SURE) for each false one."""
        likely = [sum(self.values[name][v] for v in values) for name, values in caption.claims.items()]
        return sum((p - SURE) / (1.0 - SURE) for p in likely)


def _degrees(attribute: Attribute, p: list[float]) -> dict[float, float]:
    """Probabilities of a degree's words, and of its absence if it has one, from those of its steps.

    The keys are the middles of the words' ranges.
    """
    values = {degree_value(attribute, word): 0.0 for word in attribute.degree}
    middles = list(values)
    steps = [degree_class(attribute, step / (len(p) - 1)) for step in range(len(p))]
    for step, (part, likely) in enumerate(zip(steps, p, strict=True)):
        if step == 0 and attribute.absent is not NOTHING:
            values[attribute.absent] = likely
        else:
            values[middles[part]] += likely
    return values


_UNUSED_RNG = np.random.default_rng(0)  # a teller without one words some things always


class Choices(Teller):
    """Words a scene by choices instead of chance.

    By default it words everything, plainly and in the first wording.

    Args:
        scene: The scene to word.
        picked: Choice -> number of another option.

    After wording, `made` holds every choice with its options.
    """

    def __init__(self, scene: Any, picked: Mapping[Choice, int]) -> None:
        super().__init__(None, self._shown, scene.style)
        self.rng = _UNUSED_RNG
        self.picked = picked
        self.made: dict[Choice, Options] = {}
        self.counts: Counter[Choice] = Counter()  # choices by subject
        #: element -> the attribute that names it; such an element is worded or left out whole
        self.parts = {getattr(scene, name): name for name in _parts(scene.kind)}

    def _shown(self, element: str) -> bool:
        if element not in self.parts:
            return element not in _UNREAD
        choice = ("show", self.parts[element])
        return self.made.setdefault(choice, (True, False))[self.picked.get(choice, 0)]

    def say(self, probability: float, element: str) -> bool:
        return self.visible(element) and self._choose(("say", element, probability), (True, False))

    def chance(self, probability: float) -> bool:
        return self._choose(("chance", probability), (False, True))

    def pick(self, options: tuple[Option, ...]) -> Option:
        return self._choose(("pick", options), tuple(dict.fromkeys(options)))

    def shuffled(self, parts: list[list[Word]], probability: float = 0.3) -> list[list[Word]]:
        return parts

    def _choose(self, subject: Choice, options: Options) -> Any:
        choice = (*subject, self.counts[subject])
        self.counts[subject] += 1
        self.made[choice] = options
        return options[self.picked.get(choice, 0)]


@cache
def _parts(kind: str) -> tuple[str, ...]:
    return tuple(name for name, attribute in ATTRIBUTES[kind].items() if attribute.of == name)


def worded(scene: Any, picked: Mapping[Choice, int]) -> tuple[str, dict[Choice, Options]]:
    """A wording of the scene, and its choices."""
    teller = Choices(scene, picked)
    return kind_of(scene).words(scene, teller).text, teller.made


def claimed(scene: Any, beliefs: Beliefs, picked: Mapping[Choice, int]) -> ClaimedCaption:
    """A wording of a scene with its claims.

    It is true of another value too if that value is worded the same or with more words: "a man with glasses"
    is true of a young man with large glasses.  It claims nothing about attributes that it does not word,
    hence never an absence.  Values of negligible probability are not tested.
    """
    text, _ = worded(scene, picked)
    claims: dict[str, frozenset[Any]] = {}
    for name, values in beliefs.values.items():
        attribute, own = ATTRIBUTES[scene.kind][name], getattr(scene, name)
        if own == attribute.absent or not attribute.applies(scene):
            continue
        same, claims_something = {own}, False
        for value in sorted(values, key=values.__getitem__, reverse=True):
            if value == own or (claims_something and values[value] < _NEGLIGIBLE):
                continue
            if _says(worded(edit(scene, **{name: value}), picked)[0], text):
                same.add(value)
            else:
                claims_something = True
        if claims_something:
            claims[name] = frozenset(same)
    return ClaimedCaption(text, scene.kind, claims)


def _says(text: str, other: str) -> bool:
    """Whether a text has all words of another in their order, apart from indefinite articles and commas."""
    words = iter(text.replace(",", " ").split())
    return all(word in words for word in other.replace(",", " ").split() if word not in ("a", "an"))


def best(beliefs: Beliefs) -> list[ClaimedCaption]:
    """Up to CAPTIONS captions: the one of greatest worth, then other wordings of the same.

    The search begins at the full caption and changes one choice after another while the worth grows.
    """
    scene = beliefs.scene()
    unsure = [name for name, values in beliefs.values.items() if max(values.values()) < SURE]
    degrees = [name for name in unsure if ATTRIBUTES[scene.kind][name].degree and getattr(scene, name)]
    middling = edit(scene, **dict.fromkeys(degrees, 0.5))  # mostly the value that needs no word
    climbed = [(one, *_climb(one, beliefs)) for one in ([scene, middling] if degrees else [scene])]
    scene, picked, first = max(climbed, key=lambda item: beliefs.worth(item[2]))
    captions = {first.text: first}
    rng = np.random.default_rng(0)
    made = worded(scene, picked)[1]
    for _ in range(_TRIES):
        picks = {
            choice: int(rng.integers(len(options)))
            for choice, options in made.items()
            if choice[0] == "pick" and choice not in picked
        }
        again = claimed(scene, beliefs, {**picked, **picks})
        if beliefs.worth(again) > beliefs.worth(first) - 0.1:
            captions.setdefault(again.text, again)
    return list(captions.values())[:CAPTIONS]


def _climb(scene: Any, beliefs: Beliefs) -> tuple[dict[Choice, int], ClaimedCaption]:
    """The picks and the caption at which no change of one choice has more worth."""
    picked: dict[Choice, int] = {}
    caption = claimed(scene, beliefs, picked)
    while True:
        before = caption
        # choices that leave a thing out whole come last
        choices = sorted(worded(scene, picked)[1].items(), key=lambda item: item[0][0] == "show")
        for choice, options in choices:
            for number in range(len(options)):
                changed = {**picked, choice: number}
                text, _ = worded(scene, changed)
                if choice[0] == "pick" and len(text.split()) >= len(caption.text.split()):
                    continue  # only another wording
                new = claimed(scene, beliefs, changed)
                if beliefs.worth(new) > beliefs.worth(caption) + 1e-6:
                    picked, caption = changed, new
        if caption is before:
            return picked, caption


class WorldCaptioner:
    """Captions by the judge's reading (`velatura.companions.blip.Captioner`)."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge

    @torch.no_grad()
    def beliefs(self, pictures: Tensor) -> list[Beliefs]:
        """Beliefs about each of the pictures (N, 3, H, W) in 0..1."""
        read = self.judge.log_probabilities(pictures.to(self.judge.steps.device))
        table = {key: rows.cpu() for key, rows in read.items()}
        kinds = next(question.values for question in self.judge.questions if question.key == "kind")
        return [
            Beliefs.of(kinds[int(table["kind"][n].argmax())], {key: rows[n] for key, rows in table.items()})
            for n in range(len(pictures))
        ]

    def captions(self, picture: Tensor, step: Callable[[int, int], None]) -> list[str]:
        """See `Captioner`."""
        (beliefs,) = self.beliefs(picture)
        texts = [caption.text for caption in best(beliefs)]
        step(1, 1)
        return texts
