"""The portrait: a small typed value from which picture, caption and masks follow.

A `Portrait` holds no pixels.  Its attributes have words, so that a prompt can ask for them.  `Identity` and
`Setting` are numbers without words: they distinguish people, light and framing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..attributes import Attribute, validate
from ..style import sample_style

KIND = "portrait"

PEOPLE = ("man", "woman")
SKINS = ("light", "tan", "dark")
HAIR_STYLES = ("none", "short", "long", "curly", "bob")
HAIR_COLOURS = ("black", "brown", "blond", "red", "grey")
GLASSES = ("none", "glasses", "sunglasses")
HATS = ("none", "hat", "beanie")
HAT_COLOURS = ("red", "blue", "green", "yellow", "black", "white")
SHIRT_COLOURS = ("red", "blue", "green", "yellow", "purple", "black", "white")
SHIRT_PATTERNS = ("plain", "striped")
BACKGROUNDS = ("grey", "blue", "green", "pink", "orange", "white", "brick wall", "bookshelf", "park")

#: The parts of a picture.  Their masks sum to one at every pixel.
ELEMENTS = ("background", "shirt", "face", "mouth", "hair", "beard", "glasses", "hat")

#: Attribute name -> attribute.
ATTRIBUTES: dict[str, Attribute] = {
    "person": Attribute("face", PEOPLE),
    "age": Attribute("face", degree=("young", "middle aged", "old")),
    "skin": Attribute("face", SKINS),
    "hair_style": Attribute("hair", HAIR_STYLES, absent="none"),
    "hair_colour": Attribute("hair", HAIR_COLOURS, needs={"hair_style": HAIR_STYLES[1:]}),
    "hair_length": Attribute(
        "hair", degree=("short", "medium", "long"), needs={"hair_style": ("long", "curly")}
    ),
    "beard": Attribute("beard", (False, True), absent=False),
    "beard_length": Attribute("beard", degree=("short", "medium", "long"), needs={"beard": (True,)}),
    "glasses": Attribute("glasses", GLASSES, absent="none"),
    "glasses_size": Attribute(
        "glasses", degree=("small", "medium", "large"), needs={"glasses": ("glasses", "sunglasses")}
    ),
    "smile": Attribute("mouth", (False, True)),
    "smile_width": Attribute("mouth", degree=("slight", "medium", "broad"), needs={"smile": (True,)}),
    "hat": Attribute("hat", HATS, absent="none"),
    "hat_colour": Attribute("hat", HAT_COLOURS, needs={"hat": ("hat", "beanie")}),
    "shirt_colour": Attribute("shirt", SHIRT_COLOURS),
    "shirt_pattern": Attribute("shirt", SHIRT_PATTERNS),
    "background": Attribute("background", BACKGROUNDS),
}

#: Combinations kept out of training, to measure whether a model composes words it knows apart.
HELD_OUT: tuple[dict[str, object], ...] = (
    {"person": "man", "beard": True, "hair_colour": "red", "glasses": "sunglasses"},
    {"hat": "beanie", "hat_colour": "green"},
    {"person": "woman", "hair_style": "curly", "hair_colour": "blond"},
    {"shirt_colour": "purple", "shirt_pattern": "striped"},
)


@dataclass(frozen=True)
class Identity:
    """Geometry of one face: each number is a deviation in -1..1 from the average face, 0.

    `texture` is a seed.
    """

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
    """Framing and light: the head's place (the picture spans -1..1) and tilt, the light's direction."""

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
class Portrait:
    """One portrait.  Every field but the last two is an attribute that captions mention."""

    kind: ClassVar[str] = KIND

    style: str = "photo"
    person: str = "woman"
    age: float = 0.3
    skin: str = "light"
    hair_style: str = "long"
    hair_colour: str = "brown"
    hair_length: float = 0.5
    beard: bool = False
    beard_length: float = 0.5
    glasses: str = "none"
    glasses_size: float = 0.5
    smile: bool = False
    smile_width: float = 0.5
    hat: str = "none"
    hat_colour: str = "red"
    shirt_colour: str = "blue"
    shirt_pattern: str = "plain"
    background: str = "grey"
    identity: Identity = field(default_factory=Identity)
    setting: Setting = field(default_factory=Setting)

    def __post_init__(self) -> None:
        validate(self, ATTRIBUTES)


def sample(rng: np.random.Generator) -> Portrait:
    """Draw a portrait from the training distribution."""
    while True:
        scene = _sample(rng)
        if not any(all(getattr(scene, k) == v for k, v in combination.items()) for combination in HELD_OUT):
            return scene


def _sample(rng: np.random.Generator) -> Portrait:
    def choose(values: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
        return values[int(rng.choice(len(values), p=weights))]

    def degree() -> float:
        return float(rng.uniform(0.0, 1.0))

    person = choose(PEOPLE)
    man = person == "man"
    styles = (0.12, 0.52, 0.08, 0.22, 0.06) if man else (0.05, 0.12, 0.37, 0.23, 0.23)
    return Portrait(
        style=sample_style(rng),
        person=person,
        age=degree(),
        skin=choose(SKINS, (0.45, 0.3, 0.25)),
        hair_style=choose(HAIR_STYLES, styles),
        hair_colour=choose(HAIR_COLOURS),
        hair_length=degree(),
        beard=man and bool(rng.random() < 0.55),
        beard_length=degree(),
        glasses=choose(GLASSES, (0.52, 0.30, 0.18)),
        glasses_size=degree(),
        smile=bool(rng.random() < 0.55),
        smile_width=degree(),
        hat=choose(HATS, (0.62, 0.22, 0.16)),
        hat_colour=choose(HAT_COLOURS),
        shirt_colour=choose(SHIRT_COLOURS),
        shirt_pattern=choose(SHIRT_PATTERNS, (0.72, 0.28)),
        background=choose(BACKGROUNDS, (0.12, 0.12, 0.12, 0.12, 0.12, 0.10, 0.10, 0.10, 0.10)),
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
        centre_y=float(rng.uniform(0.01, 0.09)),
        scale=float(rng.uniform(0.51, 0.61)),
        tilt=float(np.clip(rng.normal(0.0, 0.05), -0.12, 0.12)),
        turn=float(rng.uniform(-0.07, 0.07)),
        light=side * float(rng.uniform(0.25, 0.9)),
        light_height=float(rng.uniform(0.3, 0.9)),
        warmth=float(rng.uniform(-1.0, 1.0)),
        exposure=float(rng.uniform(-1.0, 1.0)),
        collar=float(rng.uniform(-1.0, 1.0)),
    )
