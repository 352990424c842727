"""Two versions side by side: what became better, what became worse, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from . import statistics

SURE = 0.05


@dataclass(frozen=True)
class Change:
    """A measure of one editor, old against new. p: of no difference; adjusted: for all the questions asked
    (Holm). paired: whether both runs edited the same cases. better: whether a rise is an improvement. step:
    the smallest difference that the measure's digits show; less than that is no news, however sure."""

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
        """'better', 'worse', or '' where chance explains the difference."""
        if self.adjusted >= SURE or abs(self.new - self.old) < max(self.step, 1e-12):
            return ""
        return "better" if (self.new > self.old) == self.better else "worse"


def changes(old: Mapping, new: Mapping) -> list[Change]:
    """Every measure that both runs have for a method of the same id; figures as in the JSON.

    Same cases (by id and by what is in them): the p of their differences under flips of signs; else the p of
    the two means under shuffling. Measures that do not mean the same are left out; see `left_out`.
    """
    same = {
        id for id, case in new["cases"].items() if case["digest"] == old["cases"].get(id, {}).get("digest")
    }
    found = []
    for editor, rows in new["values"].items():
        if new["editors"].get(editor, {"baseline": True})["baseline"]:
            continue
        for name, values in rows.items():
            before = old["values"].get(editor, {}).get(name, {})
            if not before or not values or not _comparable(old, new, name):
                continue
            shared = sorted(same & before.keys() & values.keys())
            paired = 2 * len(shared) >= max(len(before), len(values))
            if paired:
                a, b = ([side[id] for id in shared] for side in (before, values))
                p = statistics.sign_flip_p(np.subtract(b, a))
            else:
                a, b = list(before.values()), list(values.values())
                p = statistics.shuffle_p(a, b)
            measure = new["measures"][name]
            rise = measure["better"] == "higher"
            step = 10.0 ** -measure["digits"] / (100.0 if measure["unit"] == "%" else 1.0)
            means = float(np.mean(a)), float(np.mean(b))
            found.append(Change(editor, name, *means, len(b), p, p, paired, rise, step))
    adjusted = statistics.holm([change.p for change in found])
    return [Change(**{**vars(change), "adjusted": q}) for change, q in zip(found, adjusted, strict=True)]


def left_out(old: Mapping, new: Mapping) -> list[str]:
    """Which measures of both runs cannot be compared, and why: a sentence for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, measure in new["measures"].items():
        if name in old["measures"] and not _comparable(old, new, name):
            others = [part for part in measure["needs"] if not _same_encoder(old, new, part)]
            names = ", ".join(new["encoders"].get(part, part) for part in others)
            reason = f"other weights of {names}" if others else "another definition"
            by_reason.setdefault(reason, []).append(measure["title"])
    return [f"Not compared, for {why}: {', '.join(titles)}." for why, titles in by_reason.items()]


def _comparable(old: Mapping, new: Mapping, name: str) -> bool:
    """Whether a measure meant the same: its definition, and the networks it looked through, to the weight."""
    if name not in old["measures"] or name not in new["measures"]:
        return False
    before, after = old["measures"][name], new["measures"][name]
    same = all(_same_encoder(old, new, part) for part in after["needs"])
    return before["definition"] == after["definition"] and same


def _same_encoder(old: Mapping, new: Mapping, part: str) -> bool:
    return all(old[of].get(part) == new[of].get(part) for of in ("encoders", "weights"))


def summary(found: list[Change], new: Mapping) -> list[str]:
    """A line for each clear change, or one that says that there is none."""
    lines = [
        f"{new['editors'][c.editor]['title']}: {new['measures'][c.measure]['title']} is {c.verdict}, "
        f"{c.old:.3g} -> {c.new:.3g} (p = {c.adjusted:.2g})"
        for c in found
        if c.verdict and c.editor in new["editors"]
    ]
    return lines or ["No measure has clearly changed."]
