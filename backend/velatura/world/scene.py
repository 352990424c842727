"""What a portrait is: a small typed value from which picture, caption and masks follow.

A `Scene` says nothing about pixels.  `render.render` draws it, `caption.caption` words it.
Attributes are words (they can be asked for in a prompt); `Identity` and `Setting` are numbers
(they make one person, one light, one framing differ from the next and have no words).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

PEOPLE = ("man", "woman")
SKINS = ("light", "tan", "dark")
HAIR_STYLES = ("short", "long", "curly", "bob")
HAIR_COLOURS = ("black", "brown", "blond", "red", "grey")
GLASSES = ("none", "glasses", "sunglasses")
HATS = ("none", "hat", "beanie")
HAT_COLOURS = ("red", "blue", "green", "yellow", "black", "white")
SHIRT_COLOURS = ("red", "blue", "green", "yellow", "purple", "black", "white")
BACKGROUNDS = ("grey", "blue", "green", "pink", "orange", "white")

#: The parts a picture is made of.  Masks of these sum to one at every pixel.
ELEMENTS = ("background", "shirt", "face", "mouth", "hair", "beard", "glasses", "hat")


@dataclass(frozen=True)
class Identity:
    """Geometry of one face, in units of half the head's height; 0 is the average throughout."""

    head_width: float = 0.0
    jaw: float = 0.0
    chin: float = 0.0
    eye_spacing: float = 0.0
    eye_size: float = 0.0
    eye_slant: float = 0.0
    iris: float = 0.0
    brow_height: float = 0.0
    brow_arch: float = 0.0
    nose_width: float = 0.0
    nose_length: float = 0.0
    mouth_width: float = 0.0
    lip_fullness: float = 0.0
    skin_shift: float = 0.0
    hair_part: float = 0.0
    hair_volume: float = 0.0
    texture: int = 0


@dataclass(frozen=True)
class Setting:
    """Framing and light: where the head is (picture spans -1..1), how it leans, where light falls from."""

    centre_x: float = 0.0
    centre_y: float = 0.06
    scale: float = 0.58
    tilt: float = 0.0
    turn: float = 0.0
    light: float = -0.6
    light_height: float = 0.6
    warmth: float = 0.0
    exposure: float = 0.0
    collar: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One portrait.  Every field but the last two is an attribute a caption can mention."""

    person: str = "woman"
    skin: str = "light"
    hair_style: str = "long"
    hair_colour: str = "brown"
    beard: bool = False
    glasses: str = "none"
    smile: bool = False
    hat: str = "none"
    hat_colour: str = "red"
    shirt_colour: str = "blue"
    background: str = "grey"
    identity: Identity = field(default_factory=Identity)
    setting: Setting = field(default_factory=Setting)

    def __post_init__(self) -> None:
        for name, allowed in _VOCABULARY.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(map(str, allowed))}, not {getattr(self, name)!r}"
                )


_VOCABULARY: dict[str, tuple[Any, ...]] = {
    "person": PEOPLE,
    "skin": SKINS,
    "hair_style": HAIR_STYLES,
    "hair_colour": HAIR_COLOURS,
    "beard": (False, True),
    "glasses": GLASSES,
    "smile": (False, True),
    "hat": HATS,
    "hat_colour": HAT_COLOURS,
    "shirt_colour": SHIRT_COLOURS,
    "background": BACKGROUNDS,
}

#: Attribute name -> its possible values, in a fixed order (the judge's classes).
ATTRIBUTES = _VOCABULARY


def edit(scene: Scene, **changes: Any) -> Scene:
    """The same person in the same light with some attributes changed; everything else stays."""
    return replace(scene, **changes)


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene from the training distribution."""

    def choose(values: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
        return values[int(rng.choice(len(values), p=weights))]

    person = choose(PEOPLE)
    man = person == "man"
    return Scene(
        person=person,
        skin=choose(SKINS, (0.45, 0.3, 0.25)),
        hair_style=choose(HAIR_STYLES, (0.62, 0.08, 0.24, 0.06) if man else (0.12, 0.40, 0.22, 0.26)),
        hair_colour=choose(HAIR_COLOURS),
        beard=man and bool(rng.random() < 0.5),
        glasses=choose(GLASSES, (0.55, 0.28, 0.17)),
        smile=bool(rng.random() < 0.5),
        hat=choose(HATS, (0.62, 0.22, 0.16)),
        hat_colour=choose(HAT_COLOURS),
        shirt_colour=choose(SHIRT_COLOURS),
        background=choose(BACKGROUNDS),
        identity=_sample_identity(rng),
        setting=_sample_setting(rng),
    )


def _sample_identity(rng: np.random.Generator) -> Identity:
    names = [name for name in Identity.__dataclass_fields__ if name != "texture"]
    values = {name: float(rng.uniform(-1.0, 1.0)) for name in names}
    return Identity(**values, texture=int(rng.integers(2**31)))


def _sample_setting(rng: np.random.Generator) -> Setting:
    side = 1.0 if rng.random() < 0.5 else -1.0
    return Setting(
        centre_x=float(rng.normal(0.0, 0.05)),
        centre_y=float(rng.uniform(0.02, 0.11)),
        scale=float(rng.uniform(0.54, 0.62)),
        tilt=float(np.clip(rng.normal(0.0, 0.05), -0.12, 0.12)),
        turn=float(rng.uniform(-0.07, 0.07)),
        light=side * float(rng.uniform(0.25, 0.9)),
        light_height=float(rng.uniform(0.3, 0.9)),
        warmth=float(rng.uniform(-1.0, 1.0)),
        exposure=float(rng.uniform(-1.0, 1.0)),
        collar=float(rng.uniform(-1.0, 1.0)),
    )
