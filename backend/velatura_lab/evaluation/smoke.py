"""Whether editing still means what it should, from a few pairs: the check that a change has to pass.

Bounds are wide: they tell a method that works from one that is broken, not a good day from a bad one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

#: A method succeeds at least so often, and with a selection changes no more outside it, in levels.
LEAST_SUCCESS, MOST_OUTSIDE = 0.6, 0.05


def problems(figures: Mapping, methods: Sequence[str]) -> list[str]:
    """What is wrong, one sentence each; none if all is well.

    figures: as `session.evaluate` gives them. methods: those to look at; none are a problem, too, for nothing
    was checked. Each must do what the prompt asks, by the judge, leak less than every baseline, and leave
    alone what was not selected, where it was given a selection.
    """
    found = []
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
        if row["success"]["mean"] < LEAST_SUCCESS:
            found.append(
                f"{title} does what the prompt asks in {row['success']['mean']:.0%} of its edits only "
                f"(at least {LEAST_SUCCESS:.0%} are expected)."
            )
        masked = editors[name]["settings"].get("masked")
        if masked and row.get("outside", {"mean": 0.0})["mean"] > MOST_OUTSIDE:
            found.append(
                f"{title} changes what was not selected, by {row['outside']['mean']:.2f} of 255 levels."
            )
        found += [
            f"{title} leaks as much as the baseline {editors[other]['title']!r}."
            for other in baselines
            if row["leakage"]["mean"] >= rows.get(other, {}).get("leakage", {"mean": math.inf})["mean"]
        ]
    return found
