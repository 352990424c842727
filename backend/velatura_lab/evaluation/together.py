"""`velatura evaluate --study together`: whether two dials at once do what each does alone.

A picture has little of two things (short hair, a young face). It gets one dial, the other, and both. Both
should show, and nothing beside them should change more than by the stronger of the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velatura.models.store import ModelStore
from velatura_lab.readers import Reading
from velatura_lab.world.pairs import CATALOGUE, Edit, Pair, make_pair, make_source
from velatura_lab.world.render import render
from velatura_lab.world.scene import ATTRIBUTES, caption, edit, is_held_out

from . import metrics
from .batch import LEAST_BACKGROUND, alike
from .cases import Case, of_pair, of_study, to_images
from .dials import METHOD, Added, Concept, Dial
from .editors import Edited, Editor, MethodEditor
from .encoders import Encoders, home_made, required
from .measure import NAN, Measure, chosen_measures, measure
from .rows import Row, batches, editors_of
from .session import Options, Session, kinds_of
from .sliders import graded
from .slides import NOISE

SHARE = 60.0
"""The share of both dials, a dial's default."""
MOST = 1.3
"""The leakage of both, as a multiple of the larger one alone, that is still good."""
_TRIES = 100  # scenes that are drawn for each case
MEASURES: dict[str, Measure] = {}


@dataclass(frozen=True)
class Two(Case):
    """Two changes of one picture. The case itself is the first; its region is that of both.

    Args:
        second: the second, with the same source.
    """

    second: Case | None = None

    @property
    def digest(self) -> str:
        """Digest of both."""
        return f"{super().digest} {required(self.second).digest}"


@dataclass
class Turned:
    """The results for one case. pictures: uint8 [3, h, w, 3], the first dial, the second, and both."""

    case: Two
    pictures: NDArray[np.uint8]
    encoders: Encoders

    def readings(self) -> list[Reading]:
        """The judge's readings of the source and of the pictures."""
        judge = required(self.encoders.judge)
        return [*judge.read(self.case.source_image), *judge.read(to_images(self.pictures))]

    def leaks(self) -> list[float]:
        """Mean absolute difference from the source outside both regions, in levels of 0..255."""
        images = to_images(self.pictures)
        return metrics.leakage(images, self.case.source_image, self.case.region_weight).tolist()

    def shown(self) -> list[tuple[str, NDArray[np.uint8], bool]]:
        """The report's pictures."""
        titles = self.case.edit, required(self.case.second).edit, "both"
        return [(title, picture, False) for title, picture in zip(titles, self.pictures, strict=True)]


@measure("both", "Both change", "%", "slides", "higher", "judge", digits=0, rate=True, into=MEASURES)
def both(turned: Turned) -> Sequence[float]:
    """Share of pictures with both dials in which each degree has risen by at least half of what its own dial
    raises it alone. NaN where a dial alone does not raise its degree. A measure of this project."""
    before, first, second, together = turned.readings()
    if any(reading.kind != turned.case.kind for reading in (before, first, second, together)):
        return [0.0]
    for reading, case in ((first, turned.case), (second, required(turned.case.second))):
        name = case.attribute
        if not all(name in one.values for one in (before, reading, together)):
            return [NAN]
        alone = reading.values[name] - before.values[name]
        if alone <= NOISE:
            return [NAN]
        if together.values[name] - before.values[name] < alone / 2.0:
            return [0.0]
    return [1.0]


@measure("ratio", "Leakage, of the larger alone", "times", "slides", "lower", digits=2, into=MEASURES)
def ratio(turned: Turned) -> Sequence[float]:
    """Leakage of both dials over that of the dial that leaks more alone. NaN where neither leaks a tenth of a
    level, or less than a twentieth of the picture lies outside. A measure of this project."""
    first, second, together = turned.leaks()
    if 1.0 - float(turned.case.region.mean()) < LEAST_BACKGROUND or max(first, second) < 0.1:
        return [NAN]
    return [together / max(first, second)]


@measure("leakage", "Leakage of both", "levels", "slides", "lower", digits=2, into=MEASURES)
def leakage(turned: Turned) -> Sequence[float]:
    """Mean absolute difference from the source outside both regions, in levels of 0..255."""
    return [NAN if 1.0 - float(turned.case.region.mean()) < LEAST_BACKGROUND else turned.leaks()[2]]


@measure("kept", "Attributes kept", "%", "slides", "higher", "judge", digits=0, into=MEASURES)
def kept(turned: Turned) -> Sequence[float]:
    """Share of the attributes that neither dial is about which the judge reads with both as in the source."""
    before, _, _, together = turned.readings()
    same = [alike(before, together, name) for name in turned.case.kept if name in before.values]
    return [float(np.mean(same)) if same else NAN]


class _Both(Dial):
    """The method with the first dial, the second, and both."""

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """Three pictures."""
        two = of_study(case, Two)
        second, alone = required(two.second), replace(two, target_prompt="")
        pictures: list[NDArray[np.uint8]] = []
        for a, b in ((SHARE, 0.0), (0.0, SHARE), (SHARE, SHARE)):
            one = self.changed(**{self.group: [self.entry(two, a), self.entry(second, b)]})
            pictures.append(MethodEditor.edit(one, alone, seeds[:1]).pictures[0])
        return Edited(np.stack(pictures))


class _Dials(_Both, Dial):
    """FlowSlider."""


class _Concepts(_Both, Concept):
    """SEGA."""


class _Added(_Both, Added):
    """LEDITS++."""


ROWS = {
    "concepts": Row("sega", _Concepts),
    "dials": Row(METHOD, _Dials),
    "added": Row("ledits", _Added),
}
batch_of = batches(Turned)


def prepare(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """`options.pairs` pictures of each two graded words; `options.methods` names rows, all where empty.
    Raises VelaturaError as `session.prepare` does."""
    measures, size = chosen_measures(options.measures, MEASURES), models.diffusion(options.model).size
    cases = [
        case
        for kind in kinds_of(options)
        for first, second in combinations(graded(kind), 2)
        for case in twos(kind, (first, second), options.per_kind, options.seed, size)
    ]
    made = Session(options, cases, {}, editors(models, options, defaults), home_made(), measures)
    made.batch_of, made.by_type = batch_of, ("ratio", "two changes")
    return made


def twos(kind: str, changes: tuple[Edit, Edit], count: int, seed: int, size: int) -> list[Two]:
    """Up to `count` photographs with little of two things, of which none is part of the other; the same for
    the same seed."""
    numbers = [CATALOGUE[kind].index(change) for change in changes]
    rng, found = np.random.default_rng([seed, 848_484, *numbers]), list[Two]()
    for _ in range(_TRIES):
        if len(found) == count:
            break
        pairs = list(_pairs(kind, changes, rng, size))
        if len(pairs) == len(changes):
            name = " and ".join(change.name for change in changes)
            found.append(_two(pairs, f"{kind}-{name}-{len(found):02d}", name, size))
    return found


def _pairs(kind: str, changes: Sequence[Edit], rng: np.random.Generator, size: int) -> Iterator[Pair]:
    """Both changes of one new scene; fewer where the scene does not show one of them."""
    source = make_source(make_pair(kind, rng, change=changes[0]).source, changes[1], rng)
    if source.style != "photo" or is_held_out(source):
        return
    before = render(source, size)
    for change in changes:
        attribute = ATTRIBUTES[kind][change.attribute]
        if getattr(source, change.attribute) != change.source or not attribute.applies(source):
            return
        target = edit(source, **{change.attribute: change.target})
        captions = [
            caption(scene, None, picture.shows)
            for scene, picture in ((source, before), (target, render(target, size)))
        ]
        pair = Pair(source, target, change.name, change.attribute, captions[0], captions[1])
        if captions[0].text != captions[1].text and pair.region(size).any():
            yield pair


def _two(pairs: Sequence[Pair], id: str, name: str, size: int) -> Two:
    first, second = (of_pair(pair, id, size) for pair in pairs)
    fields = {name: getattr(first, name) for name in Case.__dataclass_fields__}
    fields |= {
        "region": np.maximum(first.region, second.region),
        "mask": np.maximum(first.mask, second.mask),
        "kept": tuple(name for name in first.kept if name in second.kept),
        "type": name,
    }
    return Two(**fields, second=second)


def editors(models: ModelStore, options: Options, defaults: Mapping[str, Any]) -> list[Editor]:
    """The rows. Raises `bad-request` for unknown rows."""
    return editors_of(ROWS, options.methods, models, options.model, defaults)
