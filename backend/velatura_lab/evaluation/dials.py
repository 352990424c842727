"""`velatura evaluate --study dials`: whether a dial changes a degree evenly.

A picture with little of something (a short beard, no clouds) gets a dial to the caption with much of it, and
its share goes from 0 to 100 %. The rows are the even dials that ship, dials of plain strengths, SEGA's and
LEDITS++'s concepts, Prompt-to-Prompt's weights of the same words, and dials of the bottleneck.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velatura.models.store import ModelStore

from . import metrics, sliders, slides
from .batch import LEAST_BACKGROUND, alike
from .cases import Case, of_study, to_images
from .editors import Edited, Editor, MethodEditor
from .encoders import home_made, required
from .measure import NAN, Measure, chosen_measures, measure
from .rows import Row, batches, editors_of
from .session import Options, Session, kinds_of
from .slides import Slid, Slide

METHOD = "flow-slider"
SHARES = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
FARTHEST = 8.0
"""LEDITS++'s scale at 100 %: twice its default. Prompt-to-Prompt's weights go from 0 to 4."""
#: Spearman's correlation that a dial should reach.
LEAST = 0.98
MEASURES: dict[str, Measure] = {}

measure("spearman", "Spearman, 0 to 100 %", "", "slides", "higher", "judge", digits=2, into=MEASURES)(
    slides.spearman
)
measure("monotone", "Steps that do not fall", "%", "slides", "higher", "judge", digits=0, into=MEASURES)(
    slides.monotone
)


@measure("travel", "Degree gained, 0 to 100 %", "", "slides", "higher", "judge", digits=2, into=MEASURES)
def travel(slid: Slid) -> Sequence[float]:
    """Degree read at the dial's end less that at 0: how far the dial reaches. A measure of this project."""
    return [slid.degrees.get(SHARES[-1], NAN) - slid.degrees.get(0.0, NAN)]


@measure("evenness", "Largest move / smallest", "", "slides", "lower", "features", digits=2, into=MEASURES)
def evenness(slid: Dialled) -> Sequence[float]:
    """The largest perceptual distance between neighbouring shares over the smallest, the first from the layer
    itself: 1 where equal moves give equal change. Distances are of the judge's features, in the form of
    LPIPS, which the dial does not know. After CSM of FreeSliders (arXiv:2511.00103)."""
    moves = slid.moves
    return [max(moves) / min(moves) if min(moves) > 0.0 else NAN]


@measure("layer", "Change at 0", "levels", "slides", "lower", digits=2, into=MEASURES)
def layer(slid: Slid) -> Sequence[float]:
    """Mean absolute difference from the layer at share 0, in levels of 0..255; 0 where nothing changes."""
    images = to_images(slid.at(0.0)[None])
    return [float((images - slid.case.source_image).abs().mean()) * 255.0]


@measure("kept", "Attributes kept", "%", "slides", "higher", "judge", digits=0, into=MEASURES)
def kept(slid: Dialled) -> Sequence[float]:
    """Share of the attributes that the dial should leave alone which the judge reads as in the source, the
    mean over all shares above 0."""
    return [slid.kept]


@measure("leakage", "Leakage", "levels", "slides", "lower", into=MEASURES)
def leakage(slid: Slid) -> Sequence[float]:
    """Mean absolute difference from the source outside the pair's region at the dial's end, in levels of
    0..255. NaN where less than a twentieth of the picture lies outside."""
    if 1.0 - float(slid.case.region.mean()) < LEAST_BACKGROUND:
        return [NAN]
    images = to_images(slid.at(SHARES[-1])[None])
    return metrics.leakage(images, slid.case.source_image, slid.case.region_weight).tolist()


class Dialled(Slid):
    """The results of a dial for one case, one picture for each share."""

    @property
    def moves(self) -> list[float]:
        """Perceptual distances between neighbouring shares, the first from the layer."""
        images = to_images(self.pictures[self.case.weights.index(0.0) :])
        images[0] = self.case.source_image[0]
        layers = [required(self.encoders.features).layers(image[None]) for image in images]
        return [float(metrics.perceptual_distance(a, b)) for a, b in pairwise(layers)]

    def shown(self) -> list[tuple[str, NDArray[np.uint8], bool]]:
        """The report's pictures, at three shares."""
        return [(f"at {share:g} %", self.at(share), False) for share in SHARES[1::2]]

    @property
    def kept(self) -> float:
        """The mean of the measure of this name."""
        (before,) = required(self.encoders.judge).read(self.case.source_image)
        found = [
            alike(before, after, name)
            for weight, after in zip(self.case.weights, self.readings, strict=True)
            if weight > 0.0
            for name in self.case.kept
            if name in before.values
        ]
        return float(np.mean(found)) if found else math.nan


@dataclass
class Dial(MethodEditor):
    """The method once for each share of a dial from the source's caption to the target's.

    Args:
        group: the name of the method's list of dials.
    """

    group: str = "dials"

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """The pictures, one for each share."""
        slide = of_study(case, Slide)
        return Edited(np.stack([self._at(slide, share, seeds) for share in slide.weights]))

    def _at(self, case: Slide, share: float, seeds: Sequence[int]) -> NDArray[np.uint8]:
        one = self.changed(**{self.group: [self.entry(case, share)]})
        return MethodEditor.edit(one, replace(case, target_prompt=""), seeds[:1]).pictures[0]

    def entry(self, case: Case, share: float) -> dict[str, Any]:
        """The dial of the case's change, turned to a share."""
        return {"name": "", "less": "", "more": case.target_prompt, "strength": share}


@dataclass
class Concept(Dial):
    """SEGA with one concept in place of a dial."""

    group: str = "concepts"


@dataclass
class Added(Concept):
    """LEDITS++: the scale of what the target's caption says of the thing."""

    def entry(self, case: Case, share: float) -> dict[str, Any]:
        """See `Dial`."""
        return {"text": case.new_thing or case.target_words, "scale": share * FARTHEST / SHARES[-1]}


class Weights(sliders.Slider):
    """Prompt-to-Prompt with a word's weight in place of a share."""

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """The pictures, one for each share."""
        slide = of_study(case, Slide)
        weights = [share * slides.GRADED[-1] / SHARES[-1] for share in slide.weights]
        return Edited(np.stack([self._weighed(slide, weight, seeds) for weight in weights]))


def prepare(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """`options.pairs` pictures of each graded word; `options.methods` names rows, all where empty.
    Raises VelaturaError as `session.prepare` does."""
    measures = chosen_measures(options.measures, MEASURES)
    model = models.diffusion(options.model)
    cases = [
        replace(slide, weights=SHARES)
        for kind in kinds_of(options)
        for edit in sliders.graded(kind)
        for slide in sliders.slides(kind, edit, options.per_kind, options.seed, model.size)
    ]
    made = Session(options, cases, {}, editors(models, options, defaults), home_made(), measures)
    made.batch_of, made.by_type = batch_of, ("spearman", "word")
    made.conclude = lambda found: sliders.conclude(found, LEAST)
    return made


def editors(models: ModelStore, options: Options, defaults: Mapping[str, Any]) -> list[Editor]:
    """The rows. Raises `bad-request` for unknown rows."""
    return editors_of(ROWS, options.methods, models, options.model, defaults)


batch_of = batches(Dialled)
ROWS = {
    "shipped": Row(METHOD, Dial),
    "not even": Row(METHOD, Dial, {"even": False}),
    "no focus": Row(METHOD, Dial, {"only_changes": False}),
    "shapes kept": Row(METHOD, Dial, {"self_until": 0.8}),
    "four noises": Row(METHOD, Dial, {"noises": 4}),
    "concepts": Row("sega", Concept),
    "even concepts": Row("sega", Concept, {"even": True}),
    "added": Row("ledits", Added),
    "weights": Row(sliders.METHOD, Weights),
    "deep": Row("h-space", Dial),
}
