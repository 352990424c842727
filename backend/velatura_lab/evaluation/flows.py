"""`velatura evaluate --study flow`: the settings of editing by two captions, side by side on the same pairs.

Editors get no selection: the study compares how well two captions alone make the edit and leave the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from velatura.models.store import ModelStore

from . import session
from .editors import Editor, noise_and_denoise
from .records import Figures
from .rows import Row, editors_of
from .rule import chosen
from .session import Options, Session

METHOD = "flow-align"
SHIPPED, BY_WORDS = "shipped", "Prompt-to-Prompt"
BASE: dict[str, Any] = {
    "strength": 5.0,
    "zeta": 0.02,
    "start": 0.9,
    "steps": 16,
    "noises": 1,
    "only_changes": True,
    "self_until": 0.8,
}
"""The settings that ship (a test compares them); each row differs from them as its title says."""
SETTINGS: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    "no focus": BASE | {"only_changes": False},
    "strength 3": BASE | {"strength": 3.0},
    "strength 8": BASE | {"strength": 8.0},
    "hold 0 (FlowSlider)": BASE | {"zeta": 0.0, "strength": 3.0},
    "hold 0.04": BASE | {"zeta": 0.04},
    "freedom 0.7": BASE | {"start": 0.7},
    "freedom 1": BASE | {"start": 1.0},
    "8 steps": BASE | {"steps": 8},
    "28 steps": BASE | {"steps": 28},
    "shapes free": BASE | {"self_until": 0.0},
    "shapes .8, strength 7": BASE | {"strength": 7.0},
    "four noises": BASE | {"noises": 4},
    "FlowEdit": BASE | {"form": "plain", "strength": 3.0},
    BY_WORDS: {},
}
COLUMNS = (
    *("success", "kept", "acceptable", "leakage", "background-psnr", "outside-psnr", "structure", "identity"),
    *("cycle-psnr", "seconds"),
)
#: The share of the attributes to be kept that a setting that ships must keep.
LEAST_KEPT = 0.94
#: The PSNR outside the hand-drawn selection that a setting that ships must reach, in dB.
LEAST_OUTSIDE = 35.0


def prepare(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """See `session.prepare`; `options.methods` names rows; all where empty."""
    return session.prepare(options, models, editors, defaults=defaults, conclude=conclude)


def editors(
    models: ModelStore, model: str = "", rows: Sequence[str] = (), defaults: Mapping[str, Any] | None = None
) -> list[Editor]:
    """The method once for each setting, without a selection, then other ways.

    All share one cache, so their seconds are not those of an edit made alone. Raises `bad-request` for
    unknown rows.
    """
    known = {
        name: Row("prompt-to-prompt" if name == BY_WORDS else METHOD, settings=changes)
        for name, changes in SETTINGS.items()
    }
    given = dict(defaults or {})
    made = editors_of(known, rows, models, model, given, cycles=True)
    return [*made, noise_and_denoise(models, model, given)]


def conclude(figures: Figures) -> list[str]:
    """The row that the rule chooses."""
    figures["columns"] = [name for name in COLUMNS if name in figures["measures"]]
    stated = f"that keep {LEAST_KEPT:.0%} of the attributes and {LEAST_OUTSIDE:g} dB outside the selection"
    rows = figures["figures"]
    able = [
        id
        for id, editor in figures["editors"].items()
        if not editor["baseline"] and {"success", "kept", "leakage", "outside-psnr"} <= rows[id].keys()
    ]
    able = [id for id in able if rows[id]["kept"]["mean"] >= LEAST_KEPT]
    able = [id for id in able if rows[id]["outside-psnr"]["mean"] >= LEAST_OUTSIDE]
    return [chosen(figures, able, stated)]
