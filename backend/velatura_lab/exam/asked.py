"""The prompts of an exam: full captions, held-out combinations, one degree in all its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count as counting
from typing import Any

import numpy as np

from velatura_lab.training.labels import readable
from velatura_lab.world import (
    ATTRIBUTES,
    KINDS,
    Caption,
    caption,
    degree_value,
    edit,
    element_of,
    holds,
    render,
    sample_scene,
)
from velatura_lab.world.pairs import fulfil
from velatura_lab.world.wording import FUNCTION_WORDS

from .assess import HELD_OUT, Exam

#: Words that word no attribute.  "full" is a function word of captions, but words a fullness too.
EMPTY_WORDS = FUNCTION_WORDS - {"full"} | {",", "wearing"}
NEW, LADDER = 1, 2  # streams of random numbers beside that of an `Exam`


@dataclass(frozen=True)
class Request:
    """A prompt, its scene, and the attributes that the prompt words and a picture shows."""

    scene: Any
    prompt: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Ladder:
    """Prompts that differ in the word of one degree only, from little to much, with their scenes."""

    kind: str
    attribute: str
    scenes: tuple[Any, ...]
    prompts: tuple[str, ...]


def full_caption(scene: Any, seen: Iterable[str]) -> Caption:
    """The full canonical caption of the elements in view."""
    return caption(scene, None, frozenset(seen).__contains__)


def is_worded(scene: Any, name: str, seen: Iterable[str]) -> bool:
    """Whether the full caption words an attribute: some other value would remove words from it.

    Captions leave out absences (no hat) and defaults (a plain shirt), which are not worded; "no hair" is.
    """
    attribute = ATTRIBUTES[scene.kind][name]
    value = getattr(scene, name)
    others = list(attribute.values) or [degree_value(attribute, word) for word in attribute.degree]
    if attribute.absent == 0.0:
        others.append(0.0)
    own, concerned = _words(full_caption(scene, seen)), {element_of(scene, name), ""}
    return any(
        element in concerned and text not in EMPTY_WORDS
        for other in others
        if other != value
        for text, element in own - _words(full_caption(edit(scene, **{name: other}), seen))
    )


def _words(item: Caption) -> Counter[tuple[str, str]]:
    return Counter((word.text, word.element) for word in item.words)


def request(scene: Any, seen: frozenset[str]) -> Request:
    """The full caption of a scene, with the attributes that it words and a picture shows."""
    names = (
        name
        for name in ATTRIBUTES[scene.kind]
        if readable(scene, name, seen) and is_worded(scene, name, seen)
    )
    return Request(scene, full_caption(scene, seen).text, tuple(names))


def of_exam(exam: Exam, count: int) -> list[Request]:
    """Requests for the first scenes of an exam."""
    return [request(scene, exam.seen(index)) for index, scene in enumerate(exam.scenes[:count])]


def combined(kind: str, seed: int, count: int, size: int) -> dict[str, list[Request]]:
    """`count` requests for each held-out combination of a kind, whose attributes are the `names`.

    Args:
        kind: The kind of scene.
        seed: Of the scenes.
        count: Requests for each combination.
        size: Side in pixels of the pictures that show which elements are in view.
    """
    combinations = {" ".join(map(_value, c.values())): c for c in KINDS[kind].HELD_OUT}
    by_title: dict[str, list[Request]] = {title: [] for title in combinations}
    rngs = (np.random.default_rng([seed, HELD_OUT, NEW, index]) for index in counting())
    while any(len(requests) < count for requests in by_title.values()):
        scene = sample_scene(next(rngs), kind, held_out=True)
        picture = render(scene, size)
        whole = request(scene, frozenset(filter(picture.shows, picture.elements)))
        for title, combination in combinations.items():
            fits = holds(scene, combination) and set(combination) <= set(whole.names)
            if fits and len(by_title[title]) < count:
                by_title[title].append(Request(scene, whole.prompt, tuple(combination)))
                break
    return by_title


def _value(value: object) -> str:
    return "beard" if value is True else str(value)


def ladders(kind: str, seed: int, count: int, size: int) -> list[Ladder]:
    """`count` ladders for every degree of a kind, on scenes whose pictures show the degree.

    Args:
        kind: The kind of scene.
        seed: Of the scenes.
        count: Ladders for each degree.
        size: Side in pixels of the pictures that show which elements are in view.
    """
    all_ladders: list[Ladder] = []
    for number, (name, attribute) in enumerate(ATTRIBUTES[kind].items()):
        rngs = (np.random.default_rng([seed, HELD_OUT, LADDER, number, k]) for k in counting())
        own: list[Ladder] = []
        while attribute.degree and len(own) < count:
            rng = next(rngs)
            scene = fulfil(sample_scene(rng, kind), name, rng)
            steps = [edit(scene, **{name: degree_value(attribute, word)}) for word in attribute.degree]
            picture = render(steps[-1], size)
            seen = frozenset(filter(picture.shows, picture.elements))
            prompts = tuple(full_caption(step, seen).text for step in steps)
            if len(set(prompts)) == len(prompts) and readable(steps[-1], name, seen):
                own.append(Ladder(kind, name, tuple(steps), prompts))
        all_ladders += own
    return all_ladders
