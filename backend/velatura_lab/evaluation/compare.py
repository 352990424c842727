"""Compares two runs: which measures became better or worse, and with which significance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import statistics
from .records import Figures

SURE = 0.05


@dataclass(frozen=True)
class Change:
    """A measure of one editor, old against new.

    Args:
        editor: id.
        measure: id.
        old: mean of the earlier run.
        new: mean of this run.
        n: number of values of this run.
        p: of no difference.
        adjusted: p adjusted for all tests of the report (Holm).
        paired: whether both runs edited the same cases.
        better: whether a rise is an improvement.
        step: the smallest difference that the measure's digits show; a smaller one never counts.
    """

    editor: str
    measure: str
    old: float
    new: float
    n: int
    p: float
    adjusted: float
    paired: bool
    better: bool
    step: float = 0.0

    @property
    def verdict(self) -> str:
        """'better', 'worse', or '' where chance explains the difference or it is less than `step`."""
        if self.adjusted >= SURE or abs(self.new - self.old) < max(self.step, 1e-12):
            return ""
        return "better" if (self.new > self.old) == self.better else "worse"


def changes(old: Figures, new: Figures) -> list[Change]:
    """Every comparable measure that both runs have for a method of the same id; see `left_out`.

    p is that of the differences under flips of signs where the runs share their cases (by id and content),
    else that of the two means under shuffling.
    """
    same = {
        id
        for id, case in new["cases"].items()
        if id in old["cases"] and case["digest"] == old["cases"][id]["digest"]
    }
    found: list[Change] = []
    for editor, rows in new["values"].items():
        if editor not in new["editors"] or new["editors"][editor]["baseline"]:
            continue
        for name, values in rows.items():
            before = old["values"].get(editor, {}).get(name, {})
            if not before or not values or not _comparable(old, new, name):
                continue
            shared = sorted(same & before.keys() & values.keys())
            paired = 2 * len(shared) >= max(len(before), len(values))
            if paired:
                a, b = ([side[id] for id in shared] for side in (before, values))
                p = statistics.sign_flip_p([after - earlier for earlier, after in zip(a, b, strict=True)])
            else:
                a, b = list(before.values()), list(values.values())
                p = statistics.shuffle_p(a, b)
            measure = new["measures"][name]
            rise = measure["better"] == "higher"
            step = 10.0 ** -measure["digits"] / (100.0 if measure["unit"] == "%" else 1.0)
            means = float(np.mean(a)), float(np.mean(b))
            found.append(Change(editor, name, means[0], means[1], len(b), p, p, paired, rise, step))
    adjusted = statistics.holm([change.p for change in found])
    return [replace(change, adjusted=q) for change, q in zip(found, adjusted, strict=True)]


def left_out(old: Figures, new: Figures) -> list[str]:
    """A sentence for each reason why measures of both runs cannot be compared."""
    by_reason: dict[str, list[str]] = {}
    for name, measure in new["measures"].items():
        if name in old["measures"] and not _comparable(old, new, name):
            others = [part for part in measure["needs"] if not _same_encoder(old, new, part)]
            names = ", ".join(new["encoders"].get(part, part) for part in others)
            reason = f"other weights of {names}" if others else "another definition"
            by_reason.setdefault(reason, []).append(measure["title"])
    return [f"Not compared, for {why}: {', '.join(titles)}." for why, titles in by_reason.items()]


def _comparable(old: Figures, new: Figures, name: str) -> bool:
    """Whether both runs have the measure with the same definition and the same networks, weights included."""
    if name not in old["measures"] or name not in new["measures"]:
        return False
    before, after = old["measures"][name], new["measures"][name]
    same = all(_same_encoder(old, new, part) for part in after["needs"])
    return before["definition"] == after["definition"] and same


def _same_encoder(old: Figures, new: Figures, part: str) -> bool:
    same_name = old["encoders"].get(part) == new["encoders"].get(part)
    return same_name and old["weights"].get(part) == new["weights"].get(part)


def summary(found: Sequence[Change], new: Figures) -> list[str]:
    """A line for each clear change, or one line that says that there is none."""
    lines = [
        f"{new['editors'][c.editor]['title']}: {new['measures'][c.measure]['title']} is {c.verdict}, "
        f"{c.old:.3g} -> {c.new:.3g} (p = {c.adjusted:.2g})"
        for c in found
        if c.verdict and c.editor in new["editors"]
    ]
    return lines or ["No measure has clearly changed."]
