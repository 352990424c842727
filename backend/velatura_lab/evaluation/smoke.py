"""The check of a few pairs that every change of the code has to pass: whether editing still works.

The bounds are wide: they separate a working method from a broken one, and ignore small differences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .records import Figures, Row

#: The least success rate of a method, and the most change outside its selection, in levels of 0..255.
LEAST_SUCCESS, MOST_OUTSIDE = 0.6, 0.05
#: Where less is expected. So few edits are made that the bound is one edit below the first run with all
#: methods: another processor rounds otherwise. Methods that make one edit are only held to their leakage and
#: to the selection.
LEAST_OF = {
    "compose": 0.4,
    "replace-named": 0.0,
    "blended-diffusion": 0.0,
    "clip-guided-diffusion": 0.0,
    "vqgan-clip": 0.0,
    "paint-by-word": 0.0,
    "text2live": 0.0,
    "imagic": 0.0,
    "ledits": 0.4,
}


def problems(figures: Figures, methods: Sequence[str]) -> list[str]:
    """A sentence for each problem.

    The judge must read the edit in each method's results. Each method must leak less than every baseline, and
    change nothing outside its selection. No method at all is a problem too.

    Args:
        figures: from `session.evaluate`.
        methods: ids of the methods to check.
    """
    found: list[str] = []
    if "judge" not in figures["encoders"]:
        return ["There is no judge, so nothing can be said of what the edits mean."]
    rows, editors = figures["figures"], figures["editors"]
    baselines = [name for name, editor in editors.items() if editor["baseline"]]
    if not methods:
        return ["No method was named, so nothing was checked."]
    for name in methods:
        if name not in editors:
            found.append(f"The method {name!r} made no edits.")
            continue
        row, title = rows.get(name, {}), editors[name]["title"]
        if not {"success", "leakage"} <= row.keys():
            found.append(f"{title} made nothing that can be judged.")
            continue
        least = LEAST_OF.get(name, LEAST_SUCCESS)
        if row["success"]["mean"] < least:
            found.append(
                f"{title} does what the prompt asks in {row['success']['mean']:.0%} of its edits only "
                f"(at least {least:.0%} are expected)."
            )
        masked = editors[name]["settings"].get("masked")
        if masked and "outside" in row and row["outside"]["mean"] > MOST_OUTSIDE:
            found.append(
                f"{title} changes what was not selected, by {row['outside']['mean']:.2f} of 255 levels."
            )
        found += [
            f"{title} leaks as much as the baseline {editors[other]['title']!r}."
            for other in baselines
            if row["leakage"]["mean"] >= _leakage(rows.get(other, {}))
        ]
    return found


def _leakage(row: Row) -> float:
    return row["leakage"]["mean"] if "leakage" in row else math.inf
