"""`velatura evaluate --study selections`: how well a method of masks finds what a word names.

The world knows the exact mask of every element of a picture, and which words of its caption are about it. A
method is asked for each of them; what it finds is held against the mask, at every threshold at once: a mask
of softness 1 at threshold 1/2 is the map that all its masks are cut from (`words.maps.as_mask`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura.models.store import ModelStore
from velatura_lab.world.pairs import Pair, pairs
from velatura_protocol.errors import VelaturaError

from .cases import Case, of_pair, phrases
from .editors import Edited, Editor, MethodEditor, Unwatched
from .encoders import Encoders
from .measure import Measure, chosen_measures, measure
from .pictures import selected
from .runs import Results
from .session import Options, Session, kinds_of

WHOLE = "whole phrases"
#: method -> row -> what it changes of the method's own settings. Methods that there are not are left out.
SETTINGS: dict[str, dict[str, dict]] = {
    "word-map": {
        "shipped": {},
        **{f"refine {n}": {"refine": n} for n in (0, 1, 2, 3)},
        **{f"noise {share:g}": {"noise": share} for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)},
        **{f"looks {n}": {"looks": n} for n in (1, 4, 8)},
        WHOLE: {},
    },
    "diffedit-mask": {
        "shipped": {},
        **{f"noise {share:g}": {"noise": share} for share in (0.3, 0.5, 0.7)},
        **{f"looks {n}": {"looks": n} for n in (4, 10, 20)},
    },
    "clipseg-mask": {"shipped": {}, WHOLE: {}},
}
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
CHANGE = "change"
#: An element is asked for if at least this part of the picture is its own.
LEAST_AREA = 0.01
_WHOLE_MAP = {"threshold": 0.5, "softness": 1.0}
MEASURES: dict[str, Measure] = {}


@dataclass(frozen=True)
class Named(Case):
    """A word and where it is. word: as it stands in the source's caption. words: all that are asked for of
    this picture, phrases: each with the words before it that are about the same ("short black hair"). region:
    the word's element, exactly. type: the element's name, or `CHANGE`: then it is not the word that is looked
    for but where source and target differ, which only DiffEdit can be asked. picture: what it is one of."""

    word: str = ""
    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    picture: str = ""

    @property
    def trial(self) -> str:
        """Words of one picture are no trials of their own."""
        return self.picture

    @property
    def digest(self) -> str:
        """Of the picture, its words, and which of them it is."""
        return f"{super().digest} {self.words} {self.phrases} {self.word}"

    def shown(self) -> list[tuple[str, NDArray[np.uint8]]]:
        """The picture, and in it what is looked for."""
        exact = np.uint8(np.rint(255 * self.region))
        return [("Source", self.source), ("Exact", selected(self.source, exact, self.region))]


def named(pair: Pair, id: str, size: int) -> list[Named]:
    """The cases of one picture: a word for each element of it, and the pair's own change."""
    picture, _ = pair.pictures(size)
    told = {e: p for e, p in phrases(pair.source_caption).items() if picture.shows(e, LEAST_AREA)}
    words = {element: phrase.split()[-1] for element, phrase in told.items()}
    base = of_pair(pair, id, size)
    fields = {name: getattr(base, name) for name in Case.__dataclass_fields__}
    common = {"words": tuple(words.values()), "phrases": tuple(told.values()), "picture": id}
    found = [
        _of(fields, {"id": f"{id}-{e}", "edit": w, "type": e, "region": picture.mask(e), "word": w} | common)
        for e, w in words.items()
    ]
    return [*found, _of(fields, {"id": f"{id}-change", "type": CHANGE, "edit": CHANGE} | common)]


def _of(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> Named:
    return Named(**{**fields, **changes})


@dataclass
class Selector(MethodEditor):
    """A method of masks. All words of a picture are found at once, and once. whole: whether it is asked for
    whole phrases."""

    whole: bool = False

    _last: tuple[str, list[NDArray[np.uint8]]] = field(default=("", []), init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cycles, self.batch = False, 1
        self.settings["whole"] = self.whole

    def takes(self, case: Named) -> bool:
        """Whether it can be asked for this: methods that compare two captions find changes, others words."""
        return ("source_prompt" in self.settings["parameters"]) == (case.type == CHANGE)

    def edit(self, case: Named, seeds: Sequence[int]) -> Edited:
        """The case's map, uint8 [1, h, w]."""
        name = f"{case.picture} {case.type == CHANGE}"
        if self._last[0] != name:
            self._last = name, self._maps(case, seeds)
        return Edited(self._last[1][0 if case.type == CHANGE else case.words.index(case.word)][None])

    def _maps(self, case: Named, seeds: Sequence[int]) -> list[NDArray[np.uint8]]:
        request, blobs = self.request(case, seeds)
        values, asked = request["parameters"] | _WHOLE_MAP, case.phrases if self.whole else case.words
        if "words" in values:
            request["prompt"] = case.source_prompt
            values["words"] = [{"text": word, "which": 1} for word in asked]
        elif "source_prompt" not in values:
            request["prompt"] = ", ".join(asked)
        layers = execute(request | {"parameters": values}, blobs.__getitem__, self.models, Unwatched())
        height, width = case.source.shape[:2]
        return [np.frombuffer(layer.data, np.uint8).reshape(height, width) for layer in layers]


@dataclass
class Found:
    """What a method found of one case. map: float [h, w] in 0..1."""

    case: Named
    map: NDArray[np.float32]

    @cached_property
    def exact(self) -> NDArray[np.bool_]:
        """The exact mask, bool [h, w]."""
        return self.case.region > 0.5

    def overlap(self, threshold: float) -> float:
        """Intersection over union of what lies above a threshold with the exact mask."""
        chosen = self.map >= threshold
        union = (chosen | self.exact).sum()
        return float((chosen & self.exact).sum() / union) if union else 1.0

    def shown(self) -> list[tuple[str, NDArray[np.uint8], bool]]:
        """The map as a selection, with the exact mask's outline; wrong where less than half overlaps at its
        best."""
        wrong = max(map(self.overlap, THRESHOLDS)) < 0.5
        return [("", selected(self.case.source, np.uint8(np.rint(255 * self.map)), self.case.region), wrong)]


def batch_of(editor: str, case: Named, results: Results, encoders: Encoders) -> Found | None:
    """What an editor found of a case; None if it was not asked."""
    done = results.get((editor, case.id, "edit"))
    if done is None or done.refusal:
        return None
    return Found(case, done.pictures[0].astype(np.float32) / 255.0)


@measure("pointing", "Points to it", "%", "found", "higher", digits=0, rate=True, into=MEASURES)
def pointing(found: Found) -> Sequence[float]:
    """Share of maps whose maximum lies within the exact mask. The pointing game of Zhang et al. 2018,
    "Top-down neural attention by excitation backprop"."""
    return [float(found.exact.flat[int(found.map.argmax())])]


@measure("best", "IoU, best threshold", "%", "found", "higher", digits=0, into=MEASURES)
def best(found: Found) -> Sequence[float]:
    """Intersection over union with the world's exact mask at the threshold of .1, .2 ... .8 that is best for
    this very map: what a person reaches with the slider. A measure of this project."""
    return [max(map(found.overlap, THRESHOLDS))]


def _overlap_at(threshold: float) -> None:
    def at(found: Found) -> Sequence[float]:
        return [found.overlap(threshold)]

    at.__doc__ = f"""Intersection over union with the world's exact mask of what lies above {threshold:g} of
    the map. Everingham et al. 2010 (PASCAL VOC), eq. 4, there of pixels of all pictures together."""
    shown = f"iou-{threshold:g}", f"IoU at {threshold:g}", "%"
    measure(*shown, "found", "higher", digits=0, into=MEASURES)(at)


for _threshold in THRESHOLDS:
    _overlap_at(_threshold)


def prepare(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """`options.methods` names methods of masks, all where empty. Raises VelaturaError as `session.prepare`.
    Methods that the model lacks what they need for are left out."""
    measures = chosen_measures(options.measures, MEASURES)
    model = models.diffusion(options.model)
    cases = [
        case
        for kind in kinds_of(options)
        for index, pair in enumerate(pairs(kind, options.pairs, options.seed))
        for case in named(pair, f"{kind}-{index:04d}", model.size)
    ]
    made = Session(options, cases, {}, editors(models, options, defaults), Encoders(), measures)
    made.encoders.missing = _leave_out(made)
    made.batch_of, made.by_type, made.takes = batch_of, ("best", "element"), Selector.takes
    made.conclude = lambda found: conclude(found, made.editors)
    return made


def editors(models: ModelStore, options: Options, defaults: Mapping[str, Any]) -> list[Editor]:
    """Every method of masks once for each of its settings; what is as it ships is not done twice."""
    for name in options.methods:
        if name not in SETTINGS:
            raise VelaturaError("bad-request", f"The study has no {name!r}; it has: {', '.join(SETTINGS)}.")
    found: list[Editor] = []
    for id, rows in SETTINGS.items():
        method = registry().get(id)
        if method is None or (options.methods and id not in options.methods):
            continue
        of_method: list[Selector] = []
        for row, changes in rows.items():
            one = Selector(
                method,
                models,
                options.model,
                {**defaults, **changes},
                masked=False,
                whole=row == WHOLE,
                id=f"{id}: {row}",
                title=f"{method.title}: {row}",
            )
            if all(one.settings != other.settings for other in of_method):
                of_method.append(one)
        found += of_method
    return found


def _leave_out(made: Session) -> list[str]:
    """Takes out the methods that cannot run with this model, found out by one try each; says why."""
    told: dict[str, str] = {}
    for method in dict.fromkeys(editor.method for editor in made.editors):
        editor = next(editor for editor in made.editors if editor.method is method)
        try:
            editor.edit(next(case for case in made.cases if editor.takes(case)), [0])
        except VelaturaError as error:
            told[method.id] = f"{method.title}: {error.message}"
    made.editors = [editor for editor in made.editors if editor.method.id not in told]
    return list(told.values())


def conclude(found: dict[str, Any], made: Sequence[Editor]) -> list[str]:
    """For each method, the threshold that overlaps most, as it ships and with its best settings."""
    sentences = []
    methods = dict.fromkeys(editor.method for editor in made)
    for method in methods:
        best: dict[str, tuple[float, float]] = {}
        for editor in made:
            row = found["figures"].get(editor.id, {})
            overlaps = {t: row[f"iou-{t:g}"]["mean"] for t in THRESHOLDS if f"iou-{t:g}" in row}
            if editor.method is method and overlaps:
                top = max(overlaps, key=overlaps.__getitem__)
                best[editor.title] = overlaps[top], top
        if not best:
            continue
        shipped, most = next(iter(best)), max(best, key=lambda title: best[title][0])
        told = "; ".join(
            f"{title}: threshold {best[title][1]:g}, IoU {best[title][0]:.0%}"
            for title in dict.fromkeys((shipped, most))
        )
        sentences.append(f"Most overlap as it ships, and with the best settings: {told}.")
    return sentences
