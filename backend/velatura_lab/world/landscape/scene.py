"""The landscape: mountains, the path between them, a hill with a building, trees, weather."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..attributes import Attribute, validate

KIND = "landscape"
PATHS = ("river", "street", "forest", "desert", "lake", "meadow")
MOUNTAINS = ("rocky", "hills")
BUILDINGS = ("none", "castle", "house")
TREES = ("none", "leafy", "pine")
SEASONS = ("spring", "summer", "autumn", "winter")
TIMES = ("day", "sunset", "night", "dawn")

#: The parts of a picture.  Their masks sum to one at every pixel.
ELEMENTS = (
    "sky",
    "sun",
    "moon",
    "clouds",
    "mountains",
    "ground",
    "river",
    "street",
    "forest",
    "desert",
    "lake",
    "castle",
    "house",
    "trees",
    "blossom",
    "snow",
)

#: Attribute name -> attribute.  A degree of 0 is absence.
ATTRIBUTES: dict[str, Attribute] = {
    "path": Attribute("ground", values=PATHS, of="path"),
    "mountains": Attribute("mountains", values=MOUNTAINS),
    "height": Attribute("mountains", degree=("low", "high", "towering")),
    "building": Attribute("ground", values=BUILDINGS, absent="none", of="building"),
    "trees": Attribute("trees", values=TREES, absent="none"),
    "tree_count": Attribute(
        "trees", degree=("few trees", "several trees", "many trees"), needs={"trees": TREES[1:]}
    ),
    "blossom": Attribute(
        "blossom",
        degree=("a few blossoms", "in blossom", "in full blossom"),
        absent=0.0,
        needs={"trees": ("leafy",)},
    ),
    "season": Attribute(
        "ground", values=SEASONS, needs={"path": ("river", "street", "forest", "lake", "meadow")}
    ),
    "snow": Attribute("snow", degree=("a little snow", "snow", "deep snow"), absent=0.0),
    "time": Attribute("sky", values=TIMES),
    "clouds": Attribute("clouds", degree=("a few clouds", "clouds", "many clouds"), absent=0.0),
}

#: Combinations kept out of training, to measure whether a model composes words it knows apart.
HELD_OUT: tuple[dict[str, Any], ...] = (
    {"path": "street", "building": "castle", "time": "night"},
    {"path": "desert", "trees": "pine"},
    {"path": "lake", "mountains": "hills", "season": "autumn"},
    {"building": "house", "time": "dawn", "trees": "pine"},
)


@dataclass(frozen=True)
class Layout:
    """Places of things, which no word names; the picture spans -1..1, y downwards."""

    horizon: float = 0.05  # y of the plain's far edge
    valley: float = 0.0  # x where the mountains part
    bend: float = 0.0  # how the course swings, -1..1
    bend_phase: float = 0.0
    drift: float = 0.0  # where the course leaves the picture, -1..1
    width: float = 0.0  # of the course, -1..1
    side: float = 1.0  # side of the hill: -1 or 1
    hill: float = 0.5  # its distance from the middle
    mound: float = 0.0  # its height, -1..1
    building_size: float = 0.0  # -1..1
    sun_x: float = 0.3
    sun_y: float = 0.0  # -1..1
    light: float = 1.0  # side of the light: -1 or 1
    exposure: float = 0.0
    warmth: float = 0.0
    texture: int = 0  # of ridges, clouds, tree places, grain


@dataclass(frozen=True)
class Landscape:
    """One landscape.  Every field but the last two is an attribute that captions mention."""

    kind: ClassVar[str] = KIND

    path: str = "river"
    mountains: str = "rocky"
    height: float = 0.5
    building: str = "none"
    trees: str = "leafy"
    tree_count: float = 0.5
    blossom: float = 0.0
    season: str = "summer"
    snow: float = 0.0
    time: str = "day"
    clouds: float = 0.5
    style: str = "photo"
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        validate(self, ATTRIBUTES)


def held_out(scene: Landscape) -> bool:
    """Whether the scene has a combination kept out of training."""
    return any(all(getattr(scene, name) == value for name, value in c.items()) for c in HELD_OUT)


def sample(rng: np.random.Generator) -> Landscape:
    """Draw a scene from the training distribution."""
    while held_out(scene := _draw(rng)):
        pass
    return scene


def _draw(rng: np.random.Generator) -> Landscape:
    from ..style import sample_style

    def choose(values: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
        return values[int(rng.choice(len(values), p=weights))]

    def degree(probability: float) -> float:
        """A degree, with this probability; else 0."""
        amount = float(rng.uniform(0.02, 1.0))
        return amount if rng.random() < probability else 0.0

    season = choose(SEASONS)
    trees = choose(TREES, (0.18, 0.50, 0.32))
    snowy = {"spring": 0.25, "summer": 0.22, "autumn": 0.28, "winter": 0.72}[season]
    flowering = {"spring": 0.70, "summer": 0.28, "autumn": 0.12, "winter": 0.12}[season]
    blossom = degree(flowering)
    return Landscape(
        path=choose(PATHS, (0.24, 0.16, 0.16, 0.15, 0.16, 0.13)),
        mountains=choose(MOUNTAINS, (0.65, 0.35)),
        height=float(rng.uniform(0.0, 1.0)),
        building=choose(BUILDINGS, (0.36, 0.34, 0.30)),
        trees=trees,
        tree_count=float(rng.uniform(0.0, 1.0)),
        blossom=blossom if trees == "leafy" else 0.0,
        season=season,
        snow=degree(snowy),
        time=choose(TIMES, (0.44, 0.22, 0.18, 0.16)),
        clouds=degree(0.75),
        style=sample_style(rng),
        layout=_sample_layout(rng),
    )


def _sample_layout(rng: np.random.Generator) -> Layout:
    def sign() -> float:
        return 1.0 if rng.random() < 0.5 else -1.0

    def even(low: float = -1.0, high: float = 1.0) -> float:
        return float(rng.uniform(low, high))

    side = sign()
    valley = -side * even(-0.08, 0.35)
    return Layout(
        horizon=even(-0.10, 0.22),
        valley=valley,
        bend=sign() * even(0.35, 1.0),
        bend_phase=even(-0.6, 0.6),
        drift=even(),
        width=even(),
        side=side,
        hill=even(0.42, 0.68),
        mound=even(),
        building_size=even(),
        sun_x=float(np.clip(valley + rng.normal(0.0, 0.25), -0.75, 0.75)),
        sun_y=even(),
        light=sign(),
        exposure=even(),
        warmth=even(),
        texture=int(rng.integers(2**31)),
    )
