"""Captions of pictures of the drawn world: what the judge reads, in the words of the world's own grammar.

A caption is worded, and then taken apart: for each attribute, which of its values would have been worded
the same?  These are what the caption claims, and the judge says how likely one of them is.  So the grammar
stays as training knows it, and no rule has to know which of its phrases are about what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velatura_lab.world import ATTRIBUTES, Teller, edit, sample_scene
from velatura_lab.world.attributes import NOTHING, Attribute, degree_class, degree_value
from velatura_lab.world.scene import kind_of

from .judge import Judge

SURE = 0.9
"""How likely a thing has to be for saying it to be worth while: one that is said and false costs as much as
SURE / (1 - SURE) that are true. Chosen on rendered pictures, see `tests/lab/readers/test_captions.py`."""
CAPTIONS = 4
_HARDLY = 1e-3
_TRIES = 16  # at saying the same in other words
_NEVER = frozenset({"sun", "moon"})  # the judge is not asked about them

Choice = tuple
"""What a choice of the grammar is about, and which of its like it is."""


@dataclass(frozen=True)
class Told:
    """A caption, and what it claims: for each attribute that it speaks of, the values of which it is true."""

    text: str
    kind: str
    claims: dict[str, frozenset[Any]]


@dataclass(frozen=True)
class Beliefs:
    """What is believed of one picture: its kind, and probabilities of the values of each of its attributes.

    A degree's values are the middles of what its words name, and absence where there is such a thing."""

    kind: str
    values: dict[str, dict[Any, float]]

    @classmethod
    def of(cls, kind: str, log_probabilities: dict[str, Tensor]) -> Beliefs:
        """log_probabilities: of each of the judge's questions, [size]."""
        values = {}
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

    def worth(self, told: Told) -> float:
        """What is gained by saying it: 1 for all that is true, less what is lost by what is false."""
        likely = [sum(self.values[name][v] for v in values) for name, values in told.claims.items()]
        return sum((p - SURE) / (1.0 - SURE) for p in likely)


def _degrees(attribute: Attribute, p: list[float]) -> dict[float, float]:
    """Probabilities of a degree's words from those of its steps, by the middle of what a word names; where
    there may be none of the thing, of that too."""
    values = {degree_value(attribute, word): 0.0 for word in attribute.degree}
    middles = list(values)
    steps = [degree_class(attribute, step / (len(p) - 1)) for step in range(len(p))]
    for step, (part, likely) in enumerate(zip(steps, p, strict=True)):
        if step == 0 and attribute.absent is not NOTHING:
            values[attribute.absent] = likely
        else:
            values[middles[part]] += likely
    return values


_NOT_ASKED = np.random.default_rng(0)  # without any, some things are said always


class Choices(Teller):
    """Words a scene by choices, in place of chance: everything is said, plainly and in the first wording,
    except where `other` has the number of another way. made: the choices there were, with all their ways."""

    def __init__(self, scene: Any, other: Mapping[Choice, int]) -> None:
        super().__init__(None, self._shown, scene.style)
        self.rng = _NOT_ASKED
        self.other = other
        self.made: dict[Choice, tuple] = {}
        self.met: Counter[tuple] = Counter()  # choices that are alike
        #: elements that an attribute puts there, by its name: whatever it is, it is spoken of or not
        self.parts = {getattr(scene, name): name for name in _parts(scene.kind)}

    def _shown(self, element: str) -> bool:
        if element not in self.parts:
            return element not in _NEVER
        choice = ("show", self.parts[element])
        return self.made.setdefault(choice, (True, False))[self.other.get(choice, 0)]

    def say(self, probability: float, element: str) -> bool:
        return self.visible(element) and self._choose(("say", element, probability), (True, False))

    def chance(self, probability: float) -> bool:
        return self._choose(("chance", probability), (False, True))

    def pick(self, options: tuple[str, ...]) -> str:
        return self._choose(("pick", options), tuple(dict.fromkeys(options)))

    def shuffled(self, parts: list, probability: float = 0.3) -> list:
        return parts

    def _choose(self, about: tuple, ways: tuple) -> Any:
        choice = (*about, self.met[about])
        self.met[about] += 1
        self.made[choice] = ways
        return ways[self.other.get(choice, 0)]


@cache
def _parts(kind: str) -> tuple[str, ...]:
    return tuple(name for name, attribute in ATTRIBUTES[kind].items() if attribute.of == name)


def worded(scene: Any, other: Mapping[Choice, int]) -> tuple[str, dict[Choice, tuple]]:
    """A wording of the scene, and the choices it was made of."""
    teller = Choices(scene, other)
    return kind_of(scene).words(scene, teller).text, teller.made


def tell(scene: Any, beliefs: Beliefs, other: Mapping[Choice, int]) -> Told:
    """A wording of a scene with its claims.

    It is true of another value as well if that is worded the same, or with more words: "a man with glasses"
    is so of a young man with large ones. What it does not say is not claimed, so the absence of a thing never
    is. Of what is hardly likely it is not looked whether it would be true as well.
    """
    text, _ = worded(scene, other)
    found: dict[str, frozenset[Any]] = {}
    for name, values in beliefs.values.items():
        attribute, own = ATTRIBUTES[scene.kind][name], getattr(scene, name)
        if own == attribute.absent or not attribute.applies(scene):
            continue
        same, claimed = {own}, False
        for value in sorted(values, key=values.__getitem__, reverse=True):
            if value == own or (claimed and values[value] < _HARDLY):
                continue
            if _says(worded(edit(scene, **{name: value}), other)[0], text):
                same.add(value)
            else:
                claimed = True
        if claimed:
            found[name] = frozenset(same)
    return Told(text, scene.kind, found)


def _says(text: str, other: str) -> bool:
    """Whether a text has all the words of another, in their order, whatever articles and commas."""
    words = iter(text.replace(",", " ").split())
    return all(word in words for word in other.replace(",", " ").split() if word not in ("a", "an"))


def best(beliefs: Beliefs) -> list[Told]:
    """Captions, the one that is most worth saying first; after it the same in other words.

    From the full caption one choice after the other is changed, as long as that is worth more.
    """
    scene = beliefs.scene()
    unsure = [name for name, values in beliefs.values.items() if max(values.values()) < SURE]
    degrees = [name for name in unsure if ATTRIBUTES[scene.kind][name].degree and getattr(scene, name)]
    middling = edit(scene, **dict.fromkeys(degrees, 0.5))  # mostly the value that needs no word
    climbed = [(one, *_climb(one, beliefs)) for one in ([scene, middling] if degrees else [scene])]
    scene, other, told = max(climbed, key=lambda item: beliefs.worth(item[2]))
    found = {told.text: told}
    rng = np.random.default_rng(0)
    made = worded(scene, other)[1]
    for _ in range(_TRIES):
        picks = {
            c: int(rng.integers(len(ways))) for c, ways in made.items() if c[0] == "pick" and c not in other
        }
        again = tell(scene, beliefs, {**other, **picks})
        if beliefs.worth(again) > beliefs.worth(told) - 0.1:
            found.setdefault(again.text, again)
    return list(found.values())[:CAPTIONS]


def _climb(scene: Any, beliefs: Beliefs) -> tuple[dict[Choice, int], Told]:
    other: dict[Choice, int] = {}
    told = tell(scene, beliefs, other)
    while True:
        before = told
        choices = sorted(worded(scene, other)[1].items(), key=lambda item: item[0][0] == "show")
        for choice, ways in choices:  # to leave a thing out as a whole comes last
            for way in range(len(ways)):
                changed = {**other, choice: way}
                text, _ = worded(scene, changed)
                if choice[0] == "pick" and len(text.split()) >= len(told.text.split()):
                    continue  # the same in other words
                new = tell(scene, beliefs, changed)
                if beliefs.worth(new) > beliefs.worth(told) + 1e-6:
                    other, told = changed, new
        if told is before:
            return other, told


class WorldCaptioner:
    """Captions by the judge's reading (`velatura.companions.blip.Captioner`)."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge

    @torch.no_grad()
    def beliefs(self, pictures: Tensor) -> list[Beliefs]:
        """Pictures [N, 3, h, w] in [0, 1]."""
        told = self.judge.log_probabilities(pictures.to(self.judge.steps.device))
        table = {key: rows.cpu() for key, rows in told.items()}
        kinds = next(question.values for question in self.judge.questions if question.key == "kind")
        return [
            Beliefs.of(kinds[int(table["kind"][n].argmax())], {key: rows[n] for key, rows in table.items()})
            for n in range(len(pictures))
        ]

    def captions(self, picture: Tensor, step: Callable[[int, int], None]) -> list[str]:
        """See `Captioner`."""
        (beliefs,) = self.beliefs(picture)
        texts = [told.text for told in best(beliefs)]
        step(1, 1)
        return texts
