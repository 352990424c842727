"""The rule by which a study chooses the settings that ship."""

from __future__ import annotations

from collections.abc import Sequence

from .records import Figures


def chosen(figures: Figures, able: Sequence[str], which: str) -> str:
    """Two sentences: the rule, and the row that it chooses.

    Args:
        figures: the figures of the run.
        able: ids of the editors that may be chosen.
        which: their common property, to follow the words "the settings".
    """
    rule = f"The rule: of the settings {which}, those with most success; of equal ones those that leak least."
    if not able:
        return f"{rule} There are none."
    rows = figures["figures"]
    best = max(able, key=lambda id: (rows[id]["success"]["mean"], -rows[id]["leakage"]["mean"]))
    return f"{rule} It chooses: {figures['editors'][best]['title']}."
