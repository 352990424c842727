"""`velatura evaluate --study faces`: five ways to edit a person, side by side.

Experiment 1 and table 4 of Huang & Compton, "Semantic Image Editing": 50 persons get a beard and 50 get
glasses, by StyleCLIP's three ways, Prompt-to-Prompt and SEGA; how often an edit is acceptable, and the
seconds of one. Here they edit given portraits, which the generator has to read first; the judge takes the
place of three voters. Networks and pictures are others than theirs, so the figures never stand beside their
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from velatura.methods.registry import registry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

from .cases import Case, survey_cases
from .editors import Edited, Editor, MethodEditor, check_rows, shared_cache
from .encoders import home_made
from .measure import chosen_measures
from .measures import MEASURES
from .records import Figures
from .session import Options, Session
from .stores import Stores

ROWS: dict[str, str] = {
    "latent optimisation": "styleclip-optimize",
    "latent mapper": "styleclip-mapper",
    "global directions": "styleclip-direction",
    "Prompt-to-Prompt": "prompt-to-prompt",
    "SEGA": "sega",
}
"""The methods by the names that the experiment gives them."""
WORDS: dict[str, str] = {"add beard": "a man with a beard", "add glasses": "a person with glasses"}
"""What CLIP is asked for, by edit: the same words for every person, so that a mapper is trained once."""
NEUTRAL = {"add beard": "a man", "add glasses": "a person"}
COLUMNS = ("acceptable", "success", "kept", "leakage", "identity")


@dataclass
class OneOfMany(MethodEditor):
    """A method that CLIP leads: the same words for all persons.

    A generator's method edits with the model of its kind. What it makes once a generator or text (relevance,
    a mapper) is kept from case to case, as a person has it; what it reads of a layer is no use for the next.

    Args:
        words: by edit; empty: the case's own caption.
        neutral: the words to compare with, by edit, for a method that has a field for them.
    """

    words: Mapping[str, str] = field(default_factory=dict[str, str])
    neutral: Mapping[str, str] = field(default_factory=dict[str, str])

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """See `Editor`. Raises VelaturaError where the method refuses the case."""
        asked, one = case, self
        if words := self.words.get(case.edit):
            asked = replace(case, target_prompt=words)
            if "neutral" in self.settings["parameters"]:
                one = self.changed(neutral=self.neutral[case.edit])
        return MethodEditor.edit(one, asked, seeds)


def prepare(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """`options.pairs` persons for each prompt (50 by default); `options.methods` names rows, all where empty.
    Raises VelaturaError as `session.prepare` does."""
    measures = chosen_measures(options.measures or COLUMNS, MEASURES)
    drawn = survey_cases(options.per_kind, options.seed, models.get(options.model).size)
    cases = [replace(case, type=prompt) for prompt, found in drawn.items() for case in found]
    made = Session(options, cases, {}, editors(models, options, defaults), home_made(), measures)
    made.by_type, made.conclude = (next(iter(measures)), "prompt"), conclude
    return made


def editors(models: ModelStore, options: Options, defaults: Mapping[str, Any]) -> list[Editor]:
    """The rows, without a selection. Raises `bad-request` for unknown rows, and `unknown-method` for a named
    row without a model of its kind; others are left out."""
    check_rows(options.methods, ROWS)
    stores = Stores(models, options.model)
    made: list[Editor] = []
    for row in options.methods or ROWS:
        method = registry()[ROWS[row]]
        store = stores.of(method)
        if store is None:
            if options.methods:
                raise VelaturaError("unknown-method", stores.left_out([method])[0])
            continue
        led = method.reads_prompt == "clip"
        one = OneOfMany(
            method,
            store,
            options.model if store is models else "",
            defaults,
            masked=False,
            id=f"{method.id}: {row}",
            title=row,
            cycles=False,
            cache=shared_cache(),
            words=WORDS if led else {},
            neutral=NEUTRAL if led else {},
        )
        if led:
            one.settings |= {"words": WORDS, "neutral": NEUTRAL}
        if store is not models:
            other = store.get()
            one.settings["model"] = f"{other.id} {other.digest}"
        made.append(one)
    return made


def conclude(figures: Figures) -> list[str]:
    """The seconds of one edit, as in table 4. The columns of the table are set too."""
    figures["columns"] = [name for name in COLUMNS if name in figures["measures"]]
    found: list[str] = []
    for id, editor in figures["editors"].items():
        took = figures["seconds"].get(id, {}).get("single")
        if took is not None:
            shown = f"{took:.1f} s" if took >= 1.0 else f"{1e3 * took:.0f} ms"
            found.append(f"{editor['title']}: {shown} for one edit, what is made once for all not counted.")
    return found
