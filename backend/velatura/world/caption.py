"""Scenes in words: a small grammar with paraphrases.

A caption mentions only what can be seen, never what is absent.  Each phrase knows which element of
the picture each of its words is about, so that cross-attention maps can be supervised and measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .scene import (
    BACKGROUNDS,
    HAIR_COLOURS,
    HAIR_STYLES,
    HAT_COLOURS,
    HATS,
    SHIRT_COLOURS,
    SKINS,
    Scene,
)

OPENINGS = ("a photo of", "a portrait of", "a photograph of", "a picture of", "portrait of", "photo of", "")
PEOPLE_WORDS = {
    "man": ("man", "man", "man", "guy", "gentleman"),
    "woman": ("woman", "woman", "woman", "lady", "girl"),
}
SMILING = ("smiling", "smiling", "happy", "laughing")
BEARDS = ("a {} beard", "a beard", "a full {} beard", "a full beard")
GLASSES_WORDS = {
    "glasses": ("glasses", "glasses", "eyeglasses", "spectacles"),
    "sunglasses": ("sunglasses", "sunglasses", "shades"),
}
HAT_WORDS = {"hat": ("hat", "hat", "hat with a brim"), "beanie": ("beanie", "beanie", "cap")}
SHIRT_WORDS = ("shirt", "shirt", "top", "sweater")
BLOND = ("blond", "blond", "blonde")
GREY = ("grey", "grey", "gray")


@dataclass(frozen=True)
class Word:
    """One word of a caption and the element it is about ("" for none)."""

    text: str
    element: str = ""


@dataclass(frozen=True)
class Caption:
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words).replace(" ,", ",")

    def elements(self) -> frozenset[str]:
        return frozenset(word.element for word in self.words if word.element)


#: How often each attribute is mentioned where it can be seen.
MENTION = {
    "skin": 0.35,
    "hair": 0.85,
    "beard": 0.97,
    "glasses": 0.96,
    "smile": 0.93,
    "hat": 0.96,
    "shirt": 0.75,
    "background": 0.7,
}


def caption(
    scene: Scene,
    rng: np.random.Generator | None = None,
    visible: Callable[[str], bool] = lambda element: True,
) -> Caption:
    """Word a scene.  Without `rng`: the full canonical caption.  `visible`: which elements are in view."""

    def say(key: str, element: str) -> bool:
        return visible(element) and (rng is None or rng.random() < MENTION[key] * scale)

    def pick(options: tuple[str, ...]) -> str:
        return options[0] if rng is None else options[int(rng.integers(len(options)))]

    # one caption in eight is short, as people type them
    scale = 1.0 if rng is None or rng.random() > 0.125 else 0.35
    parts: list[list[Word]] = []
    colour = {"blond": pick(BLOND), "grey": pick(GREY)}.get(scene.hair_colour, scene.hair_colour)
    if say("hair", "hair"):
        parts.append(_about("hair", scene.hair_style, colour, "hair"))
    if scene.beard and say("beard", "beard"):
        parts.append(_about("beard", pick(BEARDS).format(colour)))
    if scene.glasses != "none" and say("glasses", "glasses"):
        parts.append(_about("glasses", pick(GLASSES_WORDS[scene.glasses])))
    wearing: list[list[Word]] = []
    if scene.hat != "none" and say("hat", "hat"):
        wearing.append(_about("hat", "a", scene.hat_colour, pick(HAT_WORDS[scene.hat])))
    if say("shirt", "shirt"):
        wearing.append(_about("shirt", "a", scene.shirt_colour, pick(SHIRT_WORDS)))
    if rng is not None and rng.random() < 0.3:
        parts = [parts[k] for k in rng.permutation(len(parts))]

    words = [*_plain(pick(OPENINGS)), Word("a")]
    if scene.smile and say("smile", "mouth"):
        words += _about("mouth", pick(SMILING))
    words += _about("face", pick(PEOPLE_WORDS[scene.person]))
    tail: list[Word] = []
    if say("skin", "face") and (rng is None or scale == 1.0):
        tail = _plain("with") + _about("face", scene.skin, "skin")
        if parts:
            parts.insert(0, tail[1:])
            tail = []
    if parts:
        tail = _plain("with") + _series(parts)
    words += tail
    if wearing:
        words += [Word(",")] * bool(parts) + _plain("wearing") + _series(wearing)
    if say("background", "background"):
        colour = pick(GREY) if scene.background == "grey" else scene.background
        words += [Word(","), *_about("background", colour, "background")]
    return Caption(tuple(words))


def _plain(text: str) -> list[Word]:
    return [Word(word) for word in text.split()]


def _about(element: str, *phrases: str) -> list[Word]:
    """The words of a phrase; articles and prepositions are about nothing."""
    words = " ".join(phrases).split()
    return [Word(word, "" if word in ("a", "with") else element) for word in words]


def _series(parts: list[list[Word]]) -> list[Word]:
    """x, y and z"""
    words = list(parts[0])
    for index, part in enumerate(parts[1:], start=1):
        words.append(Word("and" if index == len(parts) - 1 else ","))
        words += part
    return words


def vocabulary() -> tuple[str, ...]:
    """Every word a caption can hold, sorted."""
    texts: set[str] = {",", "and", "with", "wearing", "a", "background", "skin", "hair", "full", "beard"}
    groups = (
        OPENINGS,
        *PEOPLE_WORDS.values(),
        SMILING,
        *GLASSES_WORDS.values(),
        *HAT_WORDS.values(),
        SHIRT_WORDS,
        BLOND,
        GREY,
        HAIR_STYLES,
        HAIR_COLOURS,
        HATS[1:],
        HAT_COLOURS,
        SHIRT_COLOURS,
        BACKGROUNDS,
        SKINS,
    )
    for group in groups:
        for phrase in group:
            texts.update(phrase.split())
    return tuple(sorted(texts))
