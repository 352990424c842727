"""From results to figures: plain numbers, which the report draws and later versions are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from velatura_lab.world.scene import KINDS

from . import statistics
from .batch import Batch
from .cases import Case
from .editors import Editor
from .encoders import Encoders
from .measure import Measure
from .measures import MEASURES
from .records import Interval, Row, Seconds, Values
from .runs import Results

#: Rows that give the others a scale: the measures of the unchanged source and of the exact target.
REFERENCES = {"nothing": "Nothing done", "target": "Exact target"}


def batch_of(editor: str, case: Case, results: Results, encoders: Encoders) -> Batch | None:
    """An editor's results for a case; None where it refused or was not given the case, or where nobody knows
    the target."""
    if editor in REFERENCES:
        picture = case.source if editor == "nothing" else case.target
        return None if picture is None else Batch(case, picture[None], encoders)
    done = results.get((editor, case.id, "edit"))
    if done is None or done.refusal:
        return None
    back = results.get((editor, case.id, "back"))
    edited_back = back.pictures[0] if back is not None and not back.refusal else None
    return Batch(case, done.pictures, encoders, done.sources, edited_back, done.scores)


def table(
    editors: Sequence[str],
    cases: Sequence[Case],
    results: Results,
    encoders: Encoders,
    measures: Mapping[str, Measure] = MEASURES,
    progress: Callable[[Sequence[Case]], Iterable[Case]] = iter,
    batch_of: Callable[..., Any] = batch_of,
) -> dict[str, dict[str, dict[str, float]]]:
    """editor -> measure -> case -> value. Measures whose encoders are missing, and NaN, are left out.

    Args:
        editors: ids, the references among them.
        cases: the edits.
        results: of all editors on all cases.
        encoders: the networks that measures look through.
        measures: by id.
        progress: wraps the cases, to show a progress bar.
        batch_of: makes the argument of the measures; see the function of this name.
    """
    usable = [measure for measure in measures.values() if encoders.has(measure.needs)]
    values: dict[str, dict[str, dict[str, float]]] = {e: {m.id: {} for m in usable} for e in editors}
    for case in progress(cases):
        for editor in editors:
            batch = batch_of(editor, case, results, encoders)
            if batch is None:
                continue
            for measure in usable:
                value = measure.of(batch)
                if not math.isnan(value):
                    values[editor][measure.id][case.id] = value
    return values


def plain(estimate: statistics.Estimate) -> Interval:
    """The estimate for JSON, which has no NaN: low and high are None where there is no interval."""
    low, high = (None if math.isnan(end) else end for end in (estimate.low, estimate.high))
    return {"mean": estimate.mean, "low": low, "high": high, "n": estimate.n}


def estimates(
    values: Values,
    cases: Iterable[Case],
    measures: Mapping[str, Measure] = MEASURES,
) -> dict[str, Row]:
    """editor -> measure -> figure over some of the cases; measures without values are left out.

    The mean of the cases of one `trial` is one value, for these cases are not independent."""
    trials = {case.id: case.trial for case in cases}
    found: dict[str, Row] = {}
    for editor, rows in values.items():
        found[editor] = {}
        for name, by_case in rows.items():
            together: dict[str, list[float]] = {}
            for id, value in by_case.items():
                if id in trials:
                    together.setdefault(trials[id], []).append(value)
            estimate = measures[name].estimate([sum(each) / len(each) for each in together.values()])
            if estimate.n:
                found[editor][name] = plain(estimate)
    return found


def ratio(values: Values, name: str, editor: str, of: str) -> Interval | None:
    """An editor's mean of a measure over the mean of another editor, `of`, on the cases that both have; None
    where they share no case."""
    own, others = (values.get(id, {}).get(name, {}) for id in (editor, of))
    shared = [case for case in own if case in others]
    estimate = statistics.ratio([own[case] for case in shared], [others[case] for case in shared])
    return plain(estimate) if estimate.n else None


def seconds(editors: Sequence[Editor], results: Results) -> dict[str, Seconds]:
    """editor -> {single, batch, each, size}: medians over cases, in seconds.

    single: one edit of one picture, as in table 4 of "Semantic Image Editing" (Huang & Compton) and in the
    first column of table 2 of Avrahami et al. 2023; batch and each: a full batch, and one picture of it
    (that table's other columns); size: pictures in a batch, 1 for a method whose seeds make no difference.
    Everything from pixels to pixels counts, except loading the model.
    """
    batches: dict[str, list[tuple[float, int]]] = {}
    alone: dict[str, list[float]] = {}
    for (name, _, role), done in results.items():
        if done.refusal:
            continue
        if role == "edit":
            batches.setdefault(name, []).append((done.seconds, len(done.pictures)))
        if role != "edit" or len(done.pictures) == 1:
            alone.setdefault(name, []).append(done.seconds)
    found: dict[str, Seconds] = {}
    for editor in editors:
        if editor.id not in batches:
            continue
        size = max(size for _, size in batches[editor.id])
        whole = float(np.median([taken for taken, n in batches[editor.id] if n == size]))
        row: Seconds = {"batch": whole, "each": whole / size, "size": size}
        if single := alone.get(editor.id):
            row["single"] = float(np.median(single))
        found[editor.id] = row
    return found


def survey(
    editors: Sequence[str], cases: Mapping[str, Sequence[Case]], results: Results, encoders: Encoders
) -> dict[str, Row]:
    """prompt -> editor -> rate of acceptable results with Wilson's interval. Experiment 1 of Huang & Compton,
    "Semantic Image Editing", which took 50 sample points, each with a new seed, for two prompts."""
    found: dict[str, Row] = {}
    for prompt, drawn in cases.items():
        found[prompt] = {}
        for editor in editors:
            batches = [batch_of(editor, case, results, encoders) for case in drawn]
            outcomes = [MEASURES["acceptable"].of(batch) for batch in batches if batch is not None]
            if outcomes:
                found[prompt][editor] = plain(statistics.wilson(sum(outcomes), len(outcomes)))
    return found


def _order(case: Case) -> tuple[int, str]:
    return tuple(KINDS).index(case.kind), case.type


def by_type(values: Values, cases: Sequence[Case], measure: Measure) -> dict[str, Row]:
    """Title of a type, "kind: type (number of cases)" -> editor -> figure of one measure."""
    found: dict[str, Row] = {}
    for kind, type in dict.fromkeys((case.kind, case.type) for case in sorted(cases, key=_order)):
        ids = [case.id for case in cases if (case.kind, case.type) == (kind, type)]
        title = f"{kind}: {type} ({len(ids)})"
        for editor, rows in values.items():
            got = [rows[measure.id][id] for id in ids if id in rows.get(measure.id, {})]
            if got:
                found.setdefault(title, {})[editor] = plain(measure.estimate(got))
    return found
