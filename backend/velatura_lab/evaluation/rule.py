"""The rule by which a study chooses the settings that ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def chosen(found: Mapping[str, Any], able: Sequence[str], which: str) -> str:
    """The rule and the row that it chooses, in two sentences.

    Args:
        found: the figures of the run.
        able: ids of the editors that may be chosen.
        which: what makes them so, after the words "the settings".
    """
    rule = f"The rule: of the settings {which}, those with most success; of equal ones those that leak least."
    if not able:
        return f"{rule} There are none."
    rows = found["figures"]
    best = max(able, key=lambda id: (rows[id]["success"]["mean"], -rows[id]["leakage"]["mean"]))
    return f"{rule} It chooses: {found['editors'][best]['title']}."
