"""The still life: one or two things on a table before a wall."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ..attributes import Attribute, validate
from ..style import STYLES, sample_style

KIND = "table"
THINGS = ("apple", "pear", "cup", "bowl", "vase", "ball", "cube", "bear", "cake", "bottle", "basket")
#: Things that come in every material; each other thing has one of its own.
WARES = ("cup", "bowl", "vase", "ball", "cube", "bottle")
MATERIALS = ("ceramic", "wood", "metal", "glass", "plastic")
COLOURS = ("red", "orange", "yellow", "green", "blue", "pink", "brown", "white", "black")
FLOWERS = ("none", "red", "yellow", "white", "pink", "blue")
CLOTHS = ("none", "plain", "striped", "checked")
CLOTH_COLOURS = ("red", "blue", "green", "yellow", "white")
TABLES = ("brown", "white", "black")
WALLS = ("grey", "white", "blue", "green", "pink", "yellow")

#: The parts of a picture.  Their masks sum to one at every pixel.
ELEMENTS = ("wall", "table", "tablecloth", *THINGS, "flowers")

#: The usual colours of things, by frequency; three in ten things have any colour.
NATURAL: dict[str, tuple[str, ...]] = {
    "apple": ("red", "red", "green", "yellow"),
    "pear": ("green", "yellow", "yellow"),
    "bear": ("brown", "brown", "white", "pink", "black"),
    "cake": ("white", "brown", "pink"),
    "basket": ("brown",),
    "bottle": ("green", "blue", "brown", "white", "red"),
}
#: Material of the second thing, which captions do not word.
PLAIN_MATERIAL = {"cube": "wood", "ball": "plastic", "bottle": "glass"}

_WARE = {"thing": WARES}
#: Attribute name -> attribute.  Colour, material and size belong to the element of the scene's thing.
ATTRIBUTES: dict[str, Attribute] = {
    "thing": Attribute("table", THINGS, of="thing"),
    "colour": Attribute("table", COLOURS, of="thing"),
    "material": Attribute("table", MATERIALS, needs=_WARE, of="thing"),
    "size": Attribute("table", degree=("small", "medium", "big"), of="thing"),
    "fluff": Attribute(
        "bear", degree=("slightly fluffy", "fluffy", "very fluffy"), needs={"thing": ("bear",)}
    ),
    "fullness": Attribute(
        "basket", degree=("nearly empty", "half full", "full"), needs={"thing": ("basket",)}
    ),
    "flowers": Attribute("flowers", FLOWERS, absent="none", needs={"thing": ("vase",)}),
    "second": Attribute("table", ("none", *THINGS), of="second"),
    "second_colour": Attribute("table", COLOURS, needs={"second": THINGS}, of="second"),
    "side": Attribute("table", ("left", "right"), needs={"second": THINGS}, of="second"),
    "table": Attribute("table", TABLES),
    "cloth": Attribute("tablecloth", CLOTHS, absent="none"),
    "cloth_colour": Attribute("tablecloth", CLOTH_COLOURS, needs={"cloth": CLOTHS[1:]}),
    "wall": Attribute("wall", WALLS),
}

#: Combinations kept out of training, to measure whether a model composes words it knows apart.
HELD_OUT: tuple[dict[str, object], ...] = (
    {"thing": "cup", "material": "wood", "colour": "blue"},
    {"thing": "bear", "colour": "green"},
    {"thing": "apple", "second": "vase"},
    {"thing": "cube", "material": "glass", "colour": "red"},
)


@dataclass(frozen=True)
class Arrangement:
    """Places, light and random details of one still life, without words.  Numbers are -1..1 unless noted."""

    place: float = 0.0
    depth: float = 0.0
    apart: float = 0.0
    second_depth: float = 0.0
    second_size: float = 0.0
    horizon: float = 0.0
    tilt: float = 0.0
    #: whether a second thing of the same size has room; if not, one stands further back
    room: bool = True
    #: side of the light: < 0 from the left
    light: float = -0.7
    light_height: float = 0.0
    #: 0 (an overcast window) .. 1 (the sun)
    hardness: float = 0.4
    window: float = 0.0
    turn: float = 0.0
    second_turn: float = 0.0
    warmth: float = 0.0
    exposure: float = 0.0
    texture: int = 0


@dataclass(frozen=True)
class Table:
    """One still life."""

    thing: str = "cup"
    colour: str = "red"
    material: str = "ceramic"
    size: float = 0.5
    fluff: float = 0.5
    fullness: float = 0.8
    flowers: str = "none"
    second: str = "none"
    second_colour: str = "green"
    side: str = "left"
    table: str = "brown"
    cloth: str = "none"
    cloth_colour: str = "white"
    wall: str = "grey"
    style: str = "photo"
    arrangement: Arrangement = field(default_factory=Arrangement)
    kind: ClassVar[str] = KIND

    def __post_init__(self) -> None:
        validate(self, ATTRIBUTES)
        if self.style not in STYLES:
            raise ValueError(f"style must be one of {', '.join(STYLES)}, not {self.style!r}")

    def is_held_out(self) -> bool:
        """Whether the scene holds a combination kept out of training."""
        return any(
            all(getattr(self, name) == value for name, value in combination.items())
            for combination in HELD_OUT
        )


def sample(rng: np.random.Generator) -> Table:
    """Draw a still life from the training distribution."""
    while True:
        scene = replace(_sample(rng), style=sample_style(rng))
        if not scene.is_held_out():
            return scene


def _sample(rng: np.random.Generator) -> Table:
    def choose(values: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
        return values[int(rng.choice(len(values), p=weights))]

    def colour_of(thing: str) -> str:
        return choose(NATURAL[thing] if thing in NATURAL and rng.random() < 0.7 else COLOURS)

    thing = choose(THINGS)
    second = "none" if rng.random() < 0.4 else choose(tuple(t for t in THINGS if t not in _too_like(thing)))
    return Table(
        thing=thing,
        colour=colour_of(thing),
        material=choose(MATERIALS),
        size=float(rng.uniform()),
        fluff=float(rng.uniform()),
        fullness=float(rng.uniform()),
        flowers="none" if rng.random() < 0.35 else choose(FLOWERS[1:]),
        second=second,
        second_colour=colour_of(second),
        side=choose(("left", "right")),
        table=choose(TABLES, (0.6, 0.25, 0.15)),
        cloth=choose(CLOTHS, (0.5, 0.2, 0.15, 0.15)),
        cloth_colour=choose(CLOTH_COLOURS),
        wall=choose(WALLS),
        arrangement=_sample_arrangement(rng, room=bool(rng.random() < (0.4 if second == "none" else 0.8))),
    )


def _too_like(thing: str) -> tuple[str, ...]:
    """Things that do not stand beside a thing: the same thing, or apples and a basket of apples."""
    return {"apple": ("apple", "basket"), "basket": ("basket", "apple")}.get(thing, (thing,))


def _sample_arrangement(rng: np.random.Generator, room: bool) -> Arrangement:
    names = [
        name
        for name in Arrangement.__dataclass_fields__
        if name not in ("room", "light", "hardness", "texture")
    ]
    values = {name: float(rng.uniform(-1.0, 1.0)) for name in names}
    side = 1.0 if rng.random() < 0.35 else -1.0
    return Arrangement(
        **values,
        room=room,
        light=side * float(rng.uniform(0.45, 1.0)),
        hardness=float(rng.uniform()),
        texture=int(rng.integers(2**31)),
    )
