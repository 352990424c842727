"""The results of a slider, and their measures; see `sliders`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from velatura_lab.readers import Reading
from velatura_lab.world.attributes import NOTHING
from velatura_lab.world.scene import ATTRIBUTES

from . import metrics, statistics
from .batch import LEAST_BACKGROUND
from .cases import Case, to_images
from .encoders import Encoders, required
from .measure import NAN, Measure, measure

GRADED = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
THINGS = (-1.0, 0.0)
#: The difference between the judge's readings of pictures that show the same.
NOISE = 0.02
MEASURES: dict[str, Measure] = {}


@dataclass(frozen=True)
class Slide(Case):
    """A word to be weighed. The region of the case is the place where its pair's pictures differ.

    Args:
        word: as it stands in the prompt.
        alone: whether it is the noun of a longer phrase ("beard" of "a long black beard").
        weights: for each picture.
    """

    word: str = ""
    alone: bool = False
    weights: tuple[float, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the pair, the word and its weights."""
        return f"{super().digest} {self.word} {self.weights}"

    @property
    def graded(self) -> bool:
        """Whether the word stands for a degree."""
        return bool(ATTRIBUTES[self.kind][self.attribute].degree)


@dataclass
class Slid:
    """The results of a slider for one case. pictures: uint8 [weights, h, w, 3]."""

    case: Slide
    pictures: NDArray[np.uint8]
    encoders: Encoders

    @cached_property
    def readings(self) -> list[Reading]:
        """The judge's reading at each weight."""
        return required(self.encoders.judge).read(to_images(self.pictures))

    @cached_property
    def degrees(self) -> dict[float, float]:
        """weight -> the degree read; without the weights at which another kind of scene is read."""
        read = zip(self.case.weights, self.readings, strict=True)
        return {
            w: r.values[self.case.attribute] for w, r in read if self.case.graded and r.kind == self.case.kind
        }

    @cached_property
    def rising(self) -> list[tuple[float, float]]:
        """(weight, degree) from 0 to 4."""
        return [(weight, degree) for weight, degree in self.degrees.items() if weight >= 0.0]

    @cached_property
    def degree_before(self) -> float:
        """The degree read in the source."""
        (reading,) = required(self.encoders.judge).read(self.case.source_image)
        return reading.values.get(self.case.attribute, NAN) if self.case.graded else NAN

    def at(self, weight: float) -> NDArray[np.uint8]:
        """The picture at a weight."""
        return self.pictures[self.case.weights.index(weight)]

    def gone(self, weight: float) -> float:
        """1 if the word's thing is read as absent at a weight, else 0; NaN for graded words."""
        if self.case.graded:
            return NAN
        reading = self.readings[self.case.weights.index(weight)]
        attribute = ATTRIBUTES[self.case.kind][self.case.attribute]
        absent = False if attribute.absent is NOTHING else attribute.absent
        return float(reading.kind == self.case.kind and reading.values[self.case.attribute] == absent)

    def shown(self) -> list[tuple[str, NDArray[np.uint8], bool]]:
        """The report's pictures, at 0, 1 and 4; for a thing at 0 and -1."""
        weights = (0.0, 1.0, 4.0) if self.case.graded else (0.0, -1.0, -1.0)
        return [(f"at {weight:g}", self.at(weight), False) for weight in weights]


@measure("spearman", "Spearman, 0 to 4", "", "slides", "higher", "judge", digits=2, into=MEASURES)
def spearman(slid: Slid) -> Sequence[float]:
    """Spearman's correlation (1904) between a graded word's weight, 0 to 4, and the degree that the judge
    reads. 0 where the degree does not change at all. A measure of this project."""
    if len(slid.rising) < 3:
        return [NAN]
    found = statistics.spearman(*zip(*slid.rising, strict=True))
    return [0.0 if math.isnan(found) else found]


@measure("monotone", "Steps that do not fall", "%", "slides", "higher", "judge", digits=0, into=MEASURES)
def monotone(slid: Slid) -> Sequence[float]:
    """Share of neighbouring weights from 0 to 4 between which the degree falls by no more than .02, which is
    what the judge's readings of equal pictures differ by. A measure of this project."""
    degrees = [degree for _, degree in slid.rising]
    steps = list(pairwise(degrees))
    return [float(np.mean([after >= before - NOISE for before, after in steps]))] if steps else [NAN]


@measure("travel", "Degree gained, 0 to 4", "", "slides", "higher", "judge", digits=2, into=MEASURES)
def travel(slid: Slid) -> Sequence[float]:
    """Degree read at weight 4 less that at weight 0: how far the slider reaches. A measure of this
    project."""
    return [slid.degrees.get(4.0, NAN) - slid.degrees.get(0.0, NAN)]


@measure("zero", "Degree left at 0", "", "slides", "lower", "judge", digits=2, into=MEASURES)
def zero(slid: Slid) -> Sequence[float]:
    """Degree read at weight 0 less that of the source. A caption without the word may say more than the
    source shows ("a beard" is a medium one, the source's is short), and words behind it have read it. A
    measure of this project."""
    return [slid.degrees.get(0.0, NAN) - slid.degree_before]


@measure("negative", "Degree gained, 0 to -1", "", "slides", "lower", "judge", digits=2, into=MEASURES)
def negative(slid: Slid) -> Sequence[float]:
    """Degree read at weight -1 less that at weight 0: a negative weight should take more away. A measure of
    this project."""
    return [slid.degrees.get(-1.0, NAN) - slid.degrees.get(0.0, NAN)]


@measure("removed", "Things gone at 0", "%", "slides", "higher", "judge", digits=0, rate=True, into=MEASURES)
def removed(slid: Slid) -> Sequence[float]:
    """Share of things of which the judge reads nothing when all words of their phrase ("long black beard")
    have weight 0. Hertz et al. 2022, section 3.2, attention re-weighting."""
    return [NAN if slid.case.alone else slid.gone(0.0)]


@measure(
    "removed-noun",
    "Gone, noun at 0",
    "%",
    "slides",
    "higher",
    "judge",
    digits=0,
    rate=True,
    into=MEASURES,
)
def removed_noun(slid: Slid) -> Sequence[float]:
    """As "Things gone at 0", where only the noun of a longer phrase has weight 0: the words before it, which
    stay, may still say what it is. A measure of this project."""
    return [slid.gone(0.0) if slid.case.alone else NAN]


@measure(
    "removed-1", "Things gone at -1", "%", "slides", "higher", "judge", digits=0, rate=True, into=MEASURES
)
def removed_more(slid: Slid) -> Sequence[float]:
    """As "Things gone at 0", at weight -1."""
    return [NAN if slid.case.alone else slid.gone(-1.0)]


@measure("leakage", "Leakage", "levels", "slides", "lower", into=MEASURES)
def leakage(slid: Slid) -> Sequence[float]:
    """Mean absolute difference from the source outside the pair's region, in levels of 0..255, at the highest
    weight of a graded word and at 0 of a thing. A measure of this project. NaN where less than a twentieth of
    the picture lies outside."""
    picture = slid.at(4.0 if slid.case.graded else 0.0)
    images, case = to_images(picture[None]), slid.case
    if 1.0 - float(case.region.mean()) < LEAST_BACKGROUND:
        return [NAN]
    return metrics.leakage(images, case.source_image, case.region_weight).tolist()
