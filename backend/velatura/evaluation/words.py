"""`velatura evaluate --study words`: Prompt-to-Prompt's settings, side by side on the same pairs.

The settings are varied one at a time from those that ship, and k, cross- and self-attention steps together
from the published ones, as Bieske's study does ("Text-based image editing via cross-attention mechanisms"),
with that study's own ("CL P2P") beside them. Nothing says where to edit: what is compared is how well words
alone find the place.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from velatura.inversion.cache import Memory
from velatura.methods.prompt_to_prompt import PRESETS
from velatura.methods.registry import registry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

from . import figures, session
from .cases import Case
from .editors import Edited, Editor, MethodEditor, SameSeed, noise_and_denoise
from .session import Options, Session

METHOD = "prompt-to-prompt"
SHIPPED, SAME_NOISE, SAME_SEED = "shipped", "same noise", "same-seed"
NEW_SAME_SEED = "new picture same seed"
_PUBLISHED, _CYCLE = PRESETS["published"], PRESETS["cycle-consistent"]
_NAIVE = {"cross_until": 0.0, "self_until": 0.0, "local_blend": False}
_REFINE = {"replaced": "refine"}

SETTINGS: dict[str, dict] = {
    SHIPPED: {},
    "no local blend": {"local_blend": False},
    **{f"k {k:g}": {"threshold": k} for k in (0.15, 0.3, 0.45, 0.6)},
    **{f"cross {share:g}": {"cross_until": share} for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)},
    **{f"self {share:g}": {"self_until": share} for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)},
    "self 0.4 finest": {"self_places": "all"},
    "values 0.2": {"value_until": 0.2},
    "refine": {"replaced": "refine"},
    **{f"refine + cross {share:g}": _REFINE | {"cross_until": share} for share in (0.6, 0.8)},
    "refine + k 0.45": _REFINE | {"threshold": 0.45},
    "refine + self 0.2": _REFINE | {"self_until": 0.2},
    "edit-friendly": {"inversion": "edit-friendly"},
    "null text": {"inversion": "null-text"},
    "published": _PUBLISHED,
    "published + self 0.5": _PUBLISHED | {"self_until": 0.5},
    "published + self 0.8": _PUBLISHED | {"self_until": 0.8},
    "published + k 0": _PUBLISHED | {"local_blend": False},
    "published + k 0.6": _PUBLISHED | {"threshold": 0.6},
    "CL P2P - values + self 0.2": _CYCLE | {"self_until": 0.2, "value_until": 0.0},
    "CL P2P - values": _CYCLE | {"value_until": 0.0},
    "CL P2P": _CYCLE,
    SAME_NOISE: _NAIVE,
    "new picture": {"start": "new"},
    "new picture published": _PUBLISHED | {"start": "new"},
    NEW_SAME_SEED: _NAIVE | {"start": "new"},
}
"""What each row of the table changes of the method's own settings. k 0 is no local blend."""

NAIVE = {SAME_NOISE, NEW_SAME_SEED}

_TOLD = {SHIPPED: {}, "published": _PUBLISHED, "CL P2P": _CYCLE}  # rows that say what they are
#: Optimises the unconditional condition at every step: some fifteen times the others' time. Only by name.
SLOW = frozenset({"null text"})
#: The figures of the table, in its columns' order; the report has the others too.
COLUMNS = (
    *("success", "leakage", "ratio-seed", "ratio-source", "structure", "background-psnr"),
    *("identity", "cycle-psnr", "cycle-perceptual"),
)
#: Of the leakage of the naive ways an edit by words may have no more.
MOST = 0.5
_TRAJECTORIES, _FEATURES = 256 * 1024**2, 512 * 1024**2


def prepare(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """See `session.prepare`; `options.methods` names rows, all but slow ones where empty."""
    made = session.prepare(options, models, editors, defaults=defaults)
    made.conclude = conclude
    return made


def editors(
    models: ModelStore, model: str = "", rows: Sequence[str] = (), defaults: Mapping | None = None
) -> list[Editor]:
    """The method once for each setting, without a selection, then the naive ways.

    All share the inverted pictures, and as much of the source's features as fits, so their seconds are not
    those of an edit made alone. Rows that are what ships already are left out. Raises `bad-request` for rows
    that there are not.
    """
    for row in rows:
        if row not in SETTINGS:
            there = ", ".join(SETTINGS)
            raise VelaturaError("bad-request", f"The study has no settings {row!r}; there are: {there}.")
    given, memory = dict(defaults or {}), Memory(None, _TRAJECTORIES, _FEATURES, 0)
    method = registry()[METHOD]
    made: list[Editor] = []
    for row, changes in SETTINGS.items():
        if row not in rows if rows else row in SLOW:
            continue
        named = {"id": f"{METHOD}: {row}", "title": row, "baseline": row in NAIVE}
        if row in _TOLD:
            told = _TOLD[row] if row != SHIPPED else method.Parameters().model_dump()
            named["title"] += f" ({_told(told)})"
        cls = FromSeed if changes.get("start") == "new" else MethodEditor
        editor = cls(method, models, model, given | changes, masked=False, memory=memory, **named)
        if rows or not made or editor.settings != made[0].settings:
            made.append(editor)
    same_seed = {"version": 1, "guidance": given.get("guidance", 3.0), "steps": 16}
    return [*made, noise_and_denoise(models, model, given), SameSeed(models, model, settings=same_seed)]


@dataclass
class FromSeed(MethodEditor):
    """Edits pictures that the seed and the source's prompt make, as the method's authors do; as with
    `SameSeed` the drawn pair's region fits them only roughly."""

    cycles: bool = False

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """With the pictures that it has made as sources."""
        sources = super().edit(replace(case, target_prompt=case.source_prompt), seeds)
        return Edited(super().edit(case, seeds).pictures, sources.pictures)


def _told(settings: Mapping[str, Any]) -> str:
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


def conclude(found: dict[str, Any]) -> list[str]:
    """Adds the quotients of leakages to the figures, and says which row the rule chooses."""
    found["columns"] = [name for name in COLUMNS if name in found["measures"] or name in RATIOS]
    if "leakage" not in found["measures"]:
        return []
    for name, (title, told) in RATIOS.items():
        definition = " ".join(inspect.cleandoc(told.__doc__).split())
        shown = {"title": title, "unit": "%", "group": "rest", "better": "lower", "digits": 0}
        found["measures"][name] = shown | {"needs": [], "rate": False, "definition": definition}
    for id, editor in found["editors"].items():
        new = editor["settings"].get("parameters", {}).get("start") == "new"
        naive = {"ratio-seed": SAME_SEED, "ratio-source": f"{METHOD}: {NEW_SAME_SEED if new else SAME_NOISE}"}
        for name, other in naive.items():
            if estimate := figures.ratio(found["values"], "leakage", id, other):
                found["figures"][id][name] = estimate
    return [_rule(found)] if "success" in found["measures"] else []


def _rule(found: Mapping[str, Any]) -> str:
    stated = (
        f"The rule: of the settings whose leakage on layers is at most {MOST:.0%} of the same seed's and of "
        "the same noise's, those with most success; of equal ones those that leak least."
    )
    able = [id for id in found["editors"] if _able(found, id)]
    if not able:
        return f"{stated} There are none."
    rows = found["figures"]
    best = max(able, key=lambda id: (rows[id]["success"]["mean"], -rows[id]["leakage"]["mean"]))
    return f"{stated} It chooses: {found['editors'][best]['title']}."


def _able(found: Mapping[str, Any], id: str) -> bool:
    editor, row = found["editors"][id], found["figures"][id]
    if editor["baseline"] or editor["settings"]["parameters"]["start"] == "new" or "success" not in row:
        return False
    known = [name for name in RATIOS if any(name in other for other in found["figures"].values())]
    return bool(known) and all(name in row and row[name]["mean"] <= MOST for name in known)
