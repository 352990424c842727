"""`velatura evaluate --study selections`: how well a method of masks finds the thing that a word names.

The world knows the exact mask of every element of a picture, and the words of its caption about it. A method
is asked for each element, and its result is compared with the exact mask at every threshold at once: a mask
of softness 1 at threshold 1/2 is the map from which all its masks are cut (`prompt_to_prompt.maps`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velatura.methods.registry import registry
from velatura.models.store import ModelStore
from velatura_lab.world.pairs import Pair, pairs
from velatura_protocol.errors import VelaturaError

from .cases import Case, of_pair, of_study, phrases
from .editors import Edited, Editor, MethodEditor, Unwatched, layers_of
from .encoders import Encoders
from .measure import Measure, chosen_measures, measure
from .pictures import selected
from .records import Figures
from .runs import Results
from .session import Options, Session, kinds_of

WHOLE = "whole phrases"
#: method -> row -> its changes of the method's own settings. Unregistered methods are left out.
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
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
#: The least share of the picture of an element that is asked for.
LEAST_AREA = 0.01
_WHOLE_MAP = {"threshold": 0.5, "softness": 1.0}
MEASURES: dict[str, Measure] = {}


@dataclass(frozen=True)
class Named(Case):
    """A word and its place in a picture.

    The region is the exact mask of the word's element, and the type is the element's name. The type `CHANGE`
    stands for the place where source and target differ, which only DiffEdit can find.

    Args:
        word: as it stands in the source's caption.
        words: all words that are asked for in this picture.
        phrases: each word with the words before it about the same element ("short black hair").
        picture: id of the picture.
    """

    word: str = ""
    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    picture: str = ""

    @property
    def trial(self) -> str:
        """The picture: its words are not independent of each other."""
        return self.picture

    @property
    def digest(self) -> str:
        """Digest of the picture, its words, and this word."""
        return f"{super().digest} {self.words} {self.phrases} {self.word}"

    def shown(self) -> list[tuple[str, NDArray[np.uint8]]]:
        """The picture, and the exact mask in it."""
        exact = np.rint(255 * self.region).astype(np.uint8)
        return [("Source", self.source), ("Exact", selected(self.source, exact, self.region))]


def named(pair: Pair, id: str, size: int) -> list[Named]:
    """The cases of one picture: a word for each element of it, and the pair's own change."""
    picture, _ = pair.pictures(size)
    known = {e: p for e, p in phrases(pair.source_caption).items() if picture.shows(e, LEAST_AREA)}
    words = {element: phrase.split()[-1] for element, phrase in known.items()}
    base = of_pair(pair, id, size)
    fields = {name: getattr(base, name) for name in Case.__dataclass_fields__}
    common = {"words": tuple(words.values()), "phrases": tuple(known.values()), "picture": id}
    found = [
        _of(fields, {"id": f"{id}-{e}", "edit": w, "type": e, "region": picture.mask(e), "word": w} | common)
        for e, w in words.items()
    ]
    return [*found, _of(fields, {"id": f"{id}-change", "type": CHANGE, "edit": CHANGE} | common)]


def _of(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> Named:
    return Named(**{**fields, **changes})


@dataclass
class Selector(MethodEditor):
    """A method of masks, which finds all words of a picture in one run. whole: whether it is asked for whole
    phrases."""

    whole: bool = False

    _last: tuple[str, list[NDArray[np.uint8]]] = field(default=("", []), init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cycles, self.batch = False, 1
        self.settings["whole"] = self.whole

    def takes(self, case: Case) -> bool:
        """Whether it can find this: methods that compare two captions find changes, the others words."""
        return ("source_prompt" in self.settings["parameters"]) == (case.type == CHANGE)

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """The case's map, uint8 [1, h, w]."""
        named = of_study(case, Named)
        name = f"{named.picture} {named.type == CHANGE}"
        if self._last[0] != name:
            self._last = name, self._maps(named, seeds)
        return Edited(self._last[1][0 if named.type == CHANGE else named.words.index(named.word)][None])

    def _maps(self, case: Named, seeds: Sequence[int]) -> list[NDArray[np.uint8]]:
        request, blobs = self.request(case, seeds)
        values, asked = request["parameters"] | _WHOLE_MAP, case.phrases if self.whole else case.words
        if "words" in values:
            request["prompt"] = case.source_prompt
            values["words"] = [{"text": word, "which": 1} for word in asked]
        elif "source_prompt" not in values:
            request["prompt"] = ", ".join(asked)
        layers = layers_of(request | {"parameters": values}, blobs, self.models, Unwatched())
        height, width = case.source.shape[:2]
        return [np.frombuffer(layer.data, np.uint8).reshape(height, width) for layer in layers]


@dataclass
class Found:
    """A method's map for one case. map: float32 [h, w] in 0..1."""

    case: Named
    map: NDArray[np.float32]

    @cached_property
    def exact(self) -> NDArray[np.bool_]:
        """The exact mask, bool [h, w]."""
        return self.case.region > 0.5

    def overlap(self, threshold: float) -> float:
        """Intersection over union of the exact mask and the part of the map above a threshold."""
        chosen = self.map >= threshold
        union = (chosen | self.exact).sum()
        return float((chosen & self.exact).sum() / union) if union else 1.0

    def shown(self) -> list[tuple[str, NDArray[np.uint8], bool]]:
        """The map as a selection with the exact mask's outline; wrong if the best overlap is below half."""
        wrong = max(map(self.overlap, THRESHOLDS)) < 0.5
        mask = np.rint(255 * self.map).astype(np.uint8)
        return [("", selected(self.case.source, mask, self.case.region), wrong)]


def batch_of(editor: str, case: Named, results: Results, encoders: Encoders) -> Found | None:
    """An editor's map for a case; None if it was not asked or refused."""
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
    """`options.methods` names methods of masks, all where empty. Methods that cannot run with the model are
    left out. Raises VelaturaError as `session.prepare` does."""
    measures = chosen_measures(options.measures, MEASURES)
    model = models.diffusion(options.model)
    cases = [
        case
        for kind in kinds_of(options)
        for index, pair in enumerate(pairs(kind, options.per_kind, options.seed))
        for case in named(pair, f"{kind}-{index:04d}", model.size)
    ]
    usable, missing = _usable(editors(models, options, defaults), cases)
    made = Session(options, cases, {}, usable, Encoders(missing=missing), measures)
    made.batch_of, made.by_type, made.takes = batch_of, ("best", "element"), _takes
    made.conclude = lambda found: conclude(found, made.editors)
    return made


def _takes(editor: Editor, case: Case) -> bool:
    return isinstance(editor, Selector) and editor.takes(case)


def editors(models: ModelStore, options: Options, defaults: Mapping[str, Any]) -> list[Selector]:
    """Every method of masks once for each of its settings, without equal ones. Raises `bad-request` for an
    unknown method."""
    for name in options.methods:
        if name not in SETTINGS:
            raise VelaturaError("bad-request", f"The study has no {name!r}; it has: {', '.join(SETTINGS)}.")
    found: list[Selector] = []
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


def _usable(selectors: Sequence[Selector], cases: Sequence[Named]) -> tuple[list[Selector], list[str]]:
    """The selectors whose methods run with this model, by one try each, and a sentence for each other one."""
    missing: dict[str, str] = {}
    for method in dict.fromkeys(selector.method for selector in selectors):
        selector = next(selector for selector in selectors if selector.method is method)
        try:
            selector.edit(next(case for case in cases if selector.takes(case)), [0])
        except VelaturaError as error:
            missing[method.id] = f"{method.title}: {error.message}"
    usable = [selector for selector in selectors if selector.method.id not in missing]
    return usable, list(missing.values())


def conclude(figures: Figures, made: Sequence[Editor]) -> list[str]:
    """For each method, the threshold of the best overlap, as it ships and with its best settings."""
    sentences: list[str] = []
    selectors = [editor for editor in made if isinstance(editor, Selector)]
    for method in dict.fromkeys(selector.method for selector in selectors):
        best: dict[str, tuple[float, float]] = {}
        for editor in selectors:
            row = figures["figures"].get(editor.id, {})
            overlaps = {t: row[f"iou-{t:g}"]["mean"] for t in THRESHOLDS if f"iou-{t:g}" in row}
            if editor.method is method and overlaps:
                top = max(overlaps, key=overlaps.__getitem__)
                best[editor.title] = overlaps[top], top
        if not best:
            continue
        shipped, most = next(iter(best)), max(best, key=lambda title: best[title][0])
        best_of = "; ".join(
            f"{title}: threshold {best[title][1]:g}, IoU {best[title][0]:.0%}"
            for title in dict.fromkeys((shipped, most))
        )
        sentences.append(f"Most overlap as it ships, and with the best settings: {best_of}.")
    return sentences
