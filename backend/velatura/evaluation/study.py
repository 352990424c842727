"""`velatura evaluate --study words`: Prompt-to-Prompt's settings, side by side on the same pairs.

The settings are varied one at a time from those that ship, as Bieske's study of k, cross- and self-attention
steps does, with the published settings and that study's own ("CL P2P") beside them. Nothing says where to
edit: what is compared is how well words alone find the place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from velatura.inversion.cache import Memory
from velatura.methods.registry import registry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

from .editors import Editor, MethodEditor, SameSeed

WORDS: dict[str, dict] = {
    "shipped": {},
    "published": {"preset": "published"},
    "cycle-consistent": {"preset": "cycle-consistent"},
    "no injection": {"cross_until": 0.0, "self_until": 0.0, "local_blend": False},
    "no local blend": {"local_blend": False},
    "k .15": {"threshold": 0.15},
    "k .45": {"threshold": 0.45},
    "k .6": {"threshold": 0.6},
    "cross .2": {"cross_until": 0.2},
    "cross .6": {"cross_until": 0.6},
    "cross .8": {"cross_until": 0.8},
    "cross 1": {"cross_until": 1.0},
    "self 0": {"self_until": 0.0},
    "self .2": {"self_until": 0.2},
    "self .8": {"self_until": 0.8},
    "self .4, finest": {"self_places": "all"},
    "values .2": {"value_until": 0.2},
    "refine": {"replaced": "refine"},
    "edit-friendly": {"inversion": "edit-friendly"},
    "null text": {"inversion": "null-text"},
}
"""What each row of the table changes of the method's own settings."""

STUDIES = {"words": ("prompt-to-prompt", WORDS)}
_KEPT = 512 * 1024**2


def study_editors(
    name: str,
    models: ModelStore,
    model: str = "",
    rows: Sequence[str] = (),
    defaults: Mapping | None = None,
) -> list[Editor]:
    """The method once for each setting, without a selection, then the same seed with the new prompt.

    All share the inverted pictures, so their seconds are not those of an edit made alone. rows: which
    settings; all where empty. Raises `bad-request` for others.
    """
    method, settings = STUDIES[name]
    for row in rows:
        if row not in settings:
            there = ", ".join(settings)
            raise VelaturaError("bad-request", f"The study has no settings {row!r}; there are: {there}.")
    given, memory = dict(defaults or {}), Memory(None, _KEPT, 0, 0)
    editors: list[Editor] = [
        MethodEditor(
            registry()[method],
            models,
            model,
            given | changes,
            masked=False,
            id=f"{method}: {row}",
            title=row,
            memory=memory,
        )
        for row, changes in settings.items()
        if not rows or row in rows
    ]
    baseline = {"version": 1, "guidance": given.get("guidance", 3.0), "steps": 16}
    return [*editors, SameSeed(models, model, settings=baseline)]
