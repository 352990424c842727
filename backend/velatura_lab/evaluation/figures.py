"""From results to figures: plain numbers, which the report draws and a later version is held to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
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
from .runs import Results

#: Rows that give the others a scale: what a measure says of doing nothing, and of the exact target.
REFERENCES = {"nothing": "Nothing done", "target": "Exact target"}


def batch_of(editor: str, case: Case, results: Results, encoders: Encoders) -> Batch | None:
    """What an editor made of a case; None if nothing."""
    if editor in REFERENCES:
        picture = case.source if editor == "nothing" else case.target
        return None if picture is None else Batch(case, picture[None], encoders)
    done = results[editor, case.id, "edit"]
    if done.refusal:
        return None
    back = results.get((editor, case.id, "back"))
    found = back.pictures[0] if back is not None and not back.refusal else None
    return Batch(case, done.pictures, encoders, done.sources, found, done.scores)


def table(
    editors: Sequence[str],
    cases: Sequence[Case],
    results: Results,
    encoders: Encoders,
    measures: Mapping[str, Measure] = MEASURES,
    progress=lambda items: items,
    batch_of: Callable[..., Any] = batch_of,
) -> dict[str, dict[str, dict[str, float]]]:
    """editor -> measure -> case -> value; only measures whose encoders are at hand, and values that are.

    batch_of: what the measures are taken of, see the function of this name."""
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


def plain(estimate: statistics.Estimate) -> dict:
    """As numbers of the JSON, which has no NaN: ends of an interval that there is not are None."""
    return {key: None if math.isnan(value) else value for key, value in asdict(estimate).items()}


def estimates(
    values: Mapping[str, Mapping[str, Mapping[str, float]]],
    cases: Iterable[Any],
    measures: Mapping[str, Measure] = MEASURES,
) -> dict[str, dict[str, dict]]:
    """editor -> measure -> {mean, low, high, n} over some of the cases; measures without values left out. low
    and high are None where there is no interval (`statistics.bootstrap`).

    Cases of one `trial` are no trials of their own: their mean is one value."""
    trials = {case.id: case.trial for case in cases}
    found: dict[str, dict[str, dict]] = {}
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


def ratio(
    values: Mapping[str, Mapping[str, Mapping[str, float]]], name: str, editor: str, of: str
) -> dict | None:
    """An editor's mean of a measure over that of another, `of`, on the cases that both have; None if none."""
    own, others = (values.get(id, {}).get(name, {}) for id in (editor, of))
    shared = [case for case in own if case in others]
    estimate = statistics.ratio([own[case] for case in shared], [others[case] for case in shared])
    return plain(estimate) if estimate.n else None


def seconds(editors: Sequence[Editor], results: Results) -> dict[str, dict[str, float]]:
    """editor -> {single, batch, each, size}: medians over cases, in seconds.

    single: one edit of one picture, as in table 4 of "Semantic Image Editing" (Huang & Compton) and in the
    first column of table 2 of Avrahami et al. 2023; batch and each: a full batch, and one picture of it
    (that table's other columns); size: pictures in a batch, as many as were made: 1 for a method whose seeds
    make no difference. Everything from pixels to pixels counts,
    loading the model does not.
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
    found = {}
    for editor in editors:
        if editor.id not in batches:
            continue
        size = max(size for _, size in batches[editor.id])
        whole = float(np.median([taken for taken, n in batches[editor.id] if n == size]))
        row = {"batch": whole, "each": whole / size, "size": size}
        single = alone.get(editor.id)
        found[editor.id] = row | ({"single": float(np.median(single))} if single else {})
    return found


def survey(
    editors: Sequence[str], cases: Mapping[str, Sequence[Case]], results: Results, encoders: Encoders
) -> dict[str, dict[str, dict]]:
    """prompt -> editor -> rate of acceptable results with Wilson's interval: experiment 1 of Huang & Compton,
    "Semantic Image Editing", which took 50 sample points, each with a new seed, for two prompts."""
    found: dict[str, dict[str, dict]] = {}
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


def by_type(
    values: Mapping[str, Mapping[str, Mapping[str, float]]], cases: Sequence[Case], measure: Measure
) -> dict[str, dict[str, dict]]:
    """kind and type of case, with how many there are -> editor -> a measure with its interval."""
    found: dict[str, dict[str, dict]] = {}
    for kind, type in dict.fromkeys((case.kind, case.type) for case in sorted(cases, key=_order)):
        ids = [case.id for case in cases if (case.kind, case.type) == (kind, type)]
        title = f"{kind}: {type} ({len(ids)})"
        for editor, rows in values.items():
            got = [rows[measure.id][id] for id in ids if id in rows.get(measure.id, {})]
            if got:
                found.setdefault(title, {})[editor] = plain(measure.estimate(got))
    return found
