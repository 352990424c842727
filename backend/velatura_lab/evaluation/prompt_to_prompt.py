"""`velatura evaluate --study words`: Prompt-to-Prompt's settings, side by side on the same pairs.

The study varies k, cross- and self-attention steps around the settings that ship, beside the published
settings and those of Bieske's study ("CL P2P" of "Text-based image editing via cross-attention mechanisms").
It also turns up the new words, with balanced weights and as published. Editors get no selection: the study
compares how well words alone find the place.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from velatura.methods.prompt_to_prompt import PRESETS
from velatura.methods.registry import registry
from velatura.models.store import ModelStore
from velatura_lab.world.wording import FUNCTION_WORDS
from velatura_protocol.errors import VelaturaError

from . import figures, session
from .cases import Case
from .editors import Edited, Editor, MethodEditor, SameSeed, check_rows, noise_and_denoise, shared_cache
from .records import Figures
from .rule import chosen
from .session import Options, Session

METHOD = "prompt-to-prompt"
SHIPPED, SAME_NOISE, SAME_SEED = "shipped", "same noise", "same-seed"
NEW_SAME_SEED = "new picture same seed"
#: The settings that ship (a test compares them); each row differs from them as its title says.
BASE: dict[str, Any] = {"cross_until": 0.4, "self_until": 0.4, "local_blend": True, "threshold": 0.45}
_PUBLISHED: dict[str, Any] = PRESETS["published"]
_CYCLE: dict[str, Any] = PRESETS["cycle-consistent"] | {"threshold": 0.0}  # k 0 is no local blend
_NAIVE: dict[str, Any] = {"cross_until": 0.0, "self_until": 0.0, "local_blend": False, "threshold": 0.0}
#: Weight of the new words in rows that turn them up. At this weight, unbalanced weights break faces.
LOUD = 3.0

#: row -> its settings. Every row but the first sets k, cross and self, so that its figures belong to its
#: title when the settings that ship change. `weight` is no setting of the method: see `Weighed`.
SETTINGS: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    "no local blend": BASE | {"local_blend": False, "threshold": 0.0},
    "k 0.3": BASE | {"threshold": 0.3},
    "k 0.6": BASE | {"threshold": 0.6},
    "cross 0.2": BASE | {"cross_until": 0.2},
    "cross 0.2 + k 0.6": BASE | {"cross_until": 0.2, "threshold": 0.6},
    "cross 0.8": BASE | {"cross_until": 0.8},
    "self 0.2": BASE | {"self_until": 0.2},
    "self 0.8": BASE | {"self_until": 0.8},
    "refine": BASE | {"replaced": "refine"},
    "weight 3": BASE | {"weight": LOUD},
    "weight 3 not balanced": BASE | {"weight": LOUD, "renormalise": False},
    "Uni-Inv": BASE | {"inversion": "uni-inv"},
    "FireFlow": BASE | {"inversion": "fireflow"},
    "DNAEdit": BASE | {"inversion": "dna"},
    "edit-friendly": BASE | {"inversion": "edit-friendly"},
    "edit-friendly from .65": BASE | {"inversion": "edit-friendly", "noise_start": 0.65},
    "null text": BASE | {"inversion": "null-text"},
    "published": _PUBLISHED,
    "CL P2P": _CYCLE,
    SAME_NOISE: _NAIVE,
    "new picture": BASE | {"start": "new"},
    NEW_SAME_SEED: _NAIVE | {"start": "new"},
}

NAIVE = {SAME_NOISE, NEW_SAME_SEED}

_TOLD = {SHIPPED, "published", "CL P2P"}  # rows whose titles list their settings
#: Rows that run only by name: other starts, other inversions, and those that take long (null text, which
#: optimises the unconditional condition at every step, takes fifteen times as long as the others).
BY_NAME = frozenset(
    {
        *("Uni-Inv", "FireFlow", "DNAEdit"),
        *("edit-friendly", "edit-friendly from .65", "null text", "new picture", NEW_SAME_SEED),
    }
)
#: The columns of the markdown table; the report has the other measures too.
COLUMNS = (
    *("success", "leakage", "ratio-seed", "ratio-source", "structure", "background-psnr"),
    *("kept", "identity", "cycle-psnr", "cycle-perceptual"),
)
#: The most leakage of an edit by words, as a share of the naive ways' leakage.
MOST = 0.5


def prepare(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """See `session.prepare`; `options.methods` names rows; all but `BY_NAME` where empty."""
    return session.prepare(options, models, editors, defaults=defaults, conclude=conclude)


def editors(
    models: ModelStore, model: str = "", rows: Sequence[str] = (), defaults: Mapping[str, Any] | None = None
) -> list[Editor]:
    """The method once for each setting, without a selection, then the naive ways.

    All share one cache of inverted pictures and source features, so their seconds are not those of an edit
    made alone. Raises `bad-request` for unknown rows.
    """
    check_rows(rows, SETTINGS)
    given, cache = dict(defaults or {}), shared_cache()
    method = registry()[METHOD]
    made: list[Editor] = []
    for row, changes in SETTINGS.items():
        if row not in rows if rows else row in BY_NAME:
            continue
        cls = Weighed if "weight" in changes else FromSeed if changes.get("start") == "new" else MethodEditor
        editor = cls(
            method,
            models,
            model,
            given | changes,
            masked=False,
            baseline=row in NAIVE,
            id=f"{METHOD}: {row}",
            title=row,
            cache=cache,
        )
        if row in _TOLD:
            editor.title += f" ({_in_words(editor.settings['parameters'])})"
        made.append(editor)
    same_seed = {"version": 1, "guidance": given.get("guidance", 3.0), "steps": 16}
    return [*made, noise_and_denoise(models, model, given), SameSeed(models, model, settings=same_seed)]


@dataclass
class FromSeed(MethodEditor):
    """Edits pictures made from the seed and the source's prompt, as the method's authors do. The drawn pair's
    region fits them only roughly, as with `SameSeed`."""

    cycles: bool = False

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """The results, with the made pictures as sources."""
        sources = super().edit(replace(case, target_prompt=case.source_prompt), seeds)
        return Edited(super().edit(case, seeds).pictures, sources.pictures)


@dataclass
class Weighed(MethodEditor):
    """Turns up the words that are new in the target's prompt. It refuses a case without such words, or with
    words that stand in the prompt more than once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings["weight"] = self.defaults["weight"]

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """The results with the weight of `settings`. Raises `bad-request` for a refused case."""
        new = [word for word in case.target_words.split() if word not in FUNCTION_WORDS and word != ","]
        plain = case.target_prompt.replace(",", "").split()
        if not new or any(plain.count(word) != 1 for word in new):
            raise VelaturaError("bad-request", "This edit has no new words that can be turned up.")
        weight = self.settings["weight"]
        words = [{"text": word, "which": 1, "weight": weight, "until": 1.0} for word in new]
        return MethodEditor.edit(self.changed(words=words), case, seeds)


def _in_words(settings: Mapping[str, Any]) -> str:
    k = f"{settings['threshold']:g}" if settings["local_blend"] else "0"
    values = f", values {settings['value_until']:g}" if settings["value_until"] else ""
    return f"cross {settings['cross_until']:g}, self {settings['self_until']:g}, k {k}{values}"


def _of_same_seed() -> None:
    """Mean leakage over the mean leakage of "Same seed, new prompt", which samples both pictures, on the same
    edits; its interval from resampled edits. That editor's element lies only roughly where the drawn pair has
    it, so some of what it should change counts as leakage. Hertz et al. 2022, figure 2."""


def _of_same_source() -> None:
    """Mean leakage over that of the naive way from the same source, on the same edits, with its interval from
    resampled edits: of a layer "same noise", its own inverted noise sampled with the new prompt; of a picture
    that a seed made "new picture same seed". Nothing is injected and nothing blended there. After Hertz et
    al. 2022, figure 2; on layers a measure of this project."""


RATIOS = {
    "ratio-seed": ("Leakage / same seed's", _of_same_seed),
    "ratio-source": ("Leakage / naive's, same source", _of_same_source),
}


def conclude(found: Figures) -> list[str]:
    """Adds the quotients of leakages to the figures, and gives the row that the rule chooses."""
    found["columns"] = [name for name in COLUMNS if name in found["measures"] or name in RATIOS]
    if "leakage" not in found["measures"]:
        return []
    for name, (title, described) in RATIOS.items():
        found["measures"][name] = {
            "title": title,
            "unit": "%",
            "group": "rest",
            "better": "lower",
            "digits": 0,
            "needs": [],
            "rate": False,
            "definition": " ".join(inspect.cleandoc(described.__doc__ or "").split()),
        }
    for id, editor in found["editors"].items():
        new = editor["settings"].get("parameters", {}).get("start") == "new"
        naive = {"ratio-seed": SAME_SEED, "ratio-source": f"{METHOD}: {NEW_SAME_SEED if new else SAME_NOISE}"}
        for name, other in naive.items():
            if estimate := figures.ratio(found["values"], "leakage", id, other):
                found["figures"][id][name] = estimate
    return [_rule(found)] if "success" in found["measures"] else []


def _rule(found: Figures) -> str:
    stated = f"whose leakage on layers is at most {MOST:.0%} of the same seed's and of the same noise's"
    able = [id for id in found["editors"] if _able(found, id)]
    return chosen(found, able, stated)


def _able(found: Figures, id: str) -> bool:
    editor, row = found["editors"][id], found["figures"][id]
    settings = editor["settings"]
    if editor["baseline"] or "success" not in row or "weight" in settings:
        return False
    if settings["parameters"]["start"] == "new":
        return False
    known = [name for name in RATIOS if any(name in other for other in found["figures"].values())]
    return bool(known) and all(name in row and row[name]["mean"] <= MOST for name in known)
