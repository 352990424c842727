"""Whether editing still means what it should, from a few pairs: the check that a change has to pass.

Bounds are wide: they tell a method that works from one that is broken, not a good day from a bad one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

#: A method that takes a selection succeeds at least so often, and changes no more outside it, in levels.
LEAST_SUCCESS, MOST_OUTSIDE = 0.6, 0.05


def problems(figures: Mapping, methods: Sequence[str] = ()) -> list[str]:
    """What is wrong, one sentence each; none if all is well.

    figures: as `session.evaluate` gives them. methods: those to look at; all that take a selection if none
    are named. Each must do what the prompt asks, by the judge, and leak less than every baseline.
    """
    found = []
    if "judge" not in figures["encoders"]:
        return ["There is no judge, so nothing can be said of what the edits mean."]
    rows, editors = figures["figures"], figures["editors"]
    baselines = [name for name, editor in editors.items() if editor["baseline"]]
    wanted = methods or [
        name
        for name, editor in editors.items()
        if not editor["baseline"] and editor["settings"].get("masked") and name in rows
    ]
    for name in wanted:
        row, title = rows.get(name, {}), editors[name]["title"]
        if "success" not in row:
            found.append(f"{title} made nothing that can be judged.")
            continue
        if row["success"]["mean"] < LEAST_SUCCESS:
            found.append(
                f"{title} does what the prompt asks in {row['success']['mean']:.0%} of its edits only "
                f"(at least {LEAST_SUCCESS:.0%} are expected)."
            )
        if row.get("outside", {"mean": 0.0})["mean"] > MOST_OUTSIDE:
            found.append(
                f"{title} changes what was not selected, by {row['outside']['mean']:.2f} of 255 levels."
            )
        found += [
            f"{title} leaks as much as the baseline {editors[other]['title']!r}."
            for other in baselines
            if row["leakage"]["mean"] >= rows.get(other, {}).get("leakage", {"mean": math.inf})["mean"]
        ]
    return found
