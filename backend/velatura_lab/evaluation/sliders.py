"""`velatura evaluate --study sliders`: whether turning a word up and down has its effect on a picture.

Graded words: a picture with little of something (a short beard, no clouds) is edited to the caption with much
of it ("a long beard"), with the word of degree at weights from -1 to 4. Things: a word of the picture's own
caption ("beard") is turned to 0 and below, and its thing should disappear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velatura.models.store import ModelStore
from velatura_lab.world.attributes import NOTHING
from velatura_lab.world.pairs import CATALOGUE, Edit, Pair, make_pair
from velatura_lab.world.scene import ATTRIBUTES, element_of, is_held_out
from velatura_lab.world.wording import FUNCTION_WORDS

from .cases import Case, of_pair, of_study, phrases
from .editors import Edited, Editor, MethodEditor
from .encoders import home_made
from .measure import chosen_measures
from .prompt_to_prompt import BASE
from .records import Figures
from .rows import Row, batches, editors_of
from .session import Options, Session, kinds_of
from .slides import GRADED, MEASURES, THINGS, Slid, Slide

METHOD = "prompt-to-prompt"
SETTINGS: dict[str, dict[str, Any]] = {
    "shipped": {},
    "not balanced": BASE | {"renormalise": False},
    "published": {"preset": "published"},
    "no local blend": BASE | {"local_blend": False},
    "k 0.3": BASE | {"threshold": 0.3},
    "refine": BASE | {"replaced": "refine"},
    "cross 0.8": BASE | {"cross_until": 0.8},
    "self 0.2": BASE | {"self_until": 0.2},
    "self 0": BASE | {"self_until": 0.0},
    "CL P2P": {"preset": "cycle-consistent"},
}
#: The rows that run by default.
USUAL = ("shipped", "refine", "not balanced")
#: Spearman's correlation that a slider should reach.
LEAST = 0.9


def graded(kind: str) -> list[Edit]:
    """The edits that raise a degree."""
    return [
        edit
        for edit in CATALOGUE[kind]
        if ATTRIBUTES[kind][edit.attribute].degree and edit.source < edit.target
    ]


def things(kind: str) -> list[Edit]:
    """The edits that remove something, one for each attribute."""
    found: dict[str, Edit] = {}
    for edit in CATALOGUE[kind]:
        attribute = ATTRIBUTES[kind][edit.attribute]
        gone = False if attribute.absent is NOTHING else attribute.absent
        if not attribute.degree and edit.target == gone and edit.name.startswith("remove"):
            found.setdefault(edit.attribute, edit)
    return list(found.values())


def slides(kind: str, edit: Edit, count: int, seed: int, size: int) -> list[Slide]:
    """The cases of `count` photographs in which an edit's word can be weighed; the same for the same seed."""
    found, drawn = list[Slide](), 0
    number = CATALOGUE[kind].index(edit)
    rng = np.random.default_rng([seed, 737_373, number])
    while drawn < count:
        pair = make_pair(kind, rng, change=edit)
        words = _words(pair)
        if pair.source.style == "photo" and not is_held_out(pair.source) and words:
            id = f"{kind}-{edit.name}-{drawn:02d}"
            found += [_slide(pair, word, f"{id}{' alone' * i}", size, i > 0) for i, word in enumerate(words)]
            drawn += 1
    return found


def _slide(pair: Pair, word: str, id: str, size: int, alone: bool) -> Slide:
    fields = {name: getattr(of_pair(pair, id, size), name) for name in Case.__dataclass_fields__}
    slid = Slide(**fields, word=word, alone=alone, weights=GRADED if _is_degree(pair) else THINGS)
    if not slid.graded:  # the same caption, with a word turned down
        slid = replace(slid, target_prompt=slid.source_prompt, target_words=slid.source_words)
    return replace(slid, type=f"{pair.name}: {word}")


def _is_degree(pair: Pair) -> bool:
    return bool(ATTRIBUTES[pair.source.kind][pair.attribute].degree)


def _words(pair: Pair) -> list[str]:
    """The words that a person would weigh: for a degree all new words in a row; for a thing its whole phrase,
    then its noun alone. Empty unless each stands exactly once in the prompt."""
    if _is_degree(pair):
        prompt = pair.target_caption.text
        new = [w for w in pair.target_words if w not in FUNCTION_WORDS and w != ","]
        text = " ".join(new)
        found = [text if text in prompt else (new or [""])[0]]
    else:
        prompt = pair.source_caption.text
        phrase = phrases(pair.source_caption).get(element_of(pair.source, pair.attribute), "")
        found = list(dict.fromkeys([phrase, phrase.split()[-1]])) if phrase else [""]
    plain = f" {prompt.replace(',', '')} "
    return found if all(plain.count(f" {text} ") == 1 for text in found) else []


@dataclass
class Slider(MethodEditor):
    """Prompt-to-Prompt once for every weight of a case's word."""

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """The pictures, one for each weight."""
        slide = of_study(case, Slide)
        return Edited(np.stack([self._weighed(slide, weight, seeds) for weight in slide.weights]))

    def _weighed(self, case: Slide, weight: float, seeds: Sequence[int]) -> NDArray[np.uint8]:
        word = {"text": case.word, "which": 1, "weight": weight, "until": 1.0}
        return MethodEditor.edit(self.changed(words=[word]), case, seeds[:1]).pictures[0]


batch_of = batches(Slid)


def prepare(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """`options.pairs` pictures of each word; `options.methods` names rows, `USUAL` where empty.
    Raises VelaturaError as `session.prepare` does."""
    measures = chosen_measures(options.measures, MEASURES)
    model = models.diffusion(options.model)
    cases = [
        slide
        for kind in kinds_of(options)
        for edit in (*graded(kind), *things(kind))
        for slide in slides(kind, edit, options.per_kind, options.seed, model.size)
    ]
    made = Session(options, cases, {}, editors(models, options, defaults), home_made(), measures)
    made.batch_of, made.by_type, made.conclude = batch_of, ("spearman", "word"), conclude
    return made


def editors(models: ModelStore, options: Options, defaults: Mapping[str, Any]) -> list[Editor]:
    """Prompt-to-Prompt as it ships and with other settings. Raises `bad-request` for unknown rows."""
    rows = {name: Row(METHOD, Slider, changes) for name, changes in SETTINGS.items()}
    return editors_of(rows, options.methods or USUAL, models, options.model, defaults)


def conclude(figures: Figures, least: float = LEAST) -> list[str]:
    """The words of the first row whose Spearman's correlation is below `least`."""
    if not figures["types"]:
        return []
    row = next(iter(figures["editors"]))
    means = {type: rates[row]["mean"] for type, rates in figures["types"].items() if row in rates}
    low = [f"{type}: {mean:.2f}" for type, mean in means.items() if mean < least]
    title = figures["editors"][row]["title"]
    if not low:
        return [f"Every graded word has a Spearman's correlation of at least {least} ({title})."]
    return [f"Below {least} ({title}): {'; '.join(low)}."]
