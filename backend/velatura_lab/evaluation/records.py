"""The figures of a run as they stand in figures.json: plain numbers and texts, no NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

#: editor -> measure -> case -> value.
Values = Mapping[str, Mapping[str, Mapping[str, float]]]


class Interval(TypedDict):
    """A mean over n independent values with its interval of 95 %; low and high are None where there is no
    interval (`statistics.bootstrap`)."""

    mean: float
    low: float | None
    high: float | None
    n: int


#: measure -> figure; the measures of one editor.
Row = dict[str, Interval]


class MeasureRecord(TypedDict):
    """A `measure.Measure` without its function."""

    title: str
    unit: str
    group: str
    better: str
    needs: Sequence[str]
    rate: bool
    digits: int
    definition: str


class EditorRecord(TypedDict):
    """An `editors.Editor` without its networks."""

    title: str
    source: str
    baseline: bool
    settings: dict[str, Any]


class CaseRecord(TypedDict):
    """A `cases.Case` without its pictures."""

    kind: str
    edit: str
    type: str
    digest: str


class ModelRecord(TypedDict):
    """The edited model. companions: name -> digest."""

    id: str
    digest: str
    size: int
    companions: dict[str, str]


class OptionsRecord(TypedDict):
    """Numbers of edits, seeds and people of the survey; the rest as `session.Options`."""

    kinds: list[str]
    edits: int
    seeds: int
    survey: int
    seed: int
    masked: bool


class Seconds(TypedDict):
    """Medians in seconds; see `figures.seconds`."""

    batch: float
    each: float
    size: int
    single: NotRequired[float]


class ByType(TypedDict):
    """The measure that is shown for each type of case, and the name of these types."""

    measure: str
    types: str


class Figures(TypedDict):
    """A whole run. figures and kinds: editor -> row. types and survey: type or prompt -> editor -> figure.
    columns: the measures of the markdown table, where a study chooses them."""

    format: int
    velatura: str
    made: str
    data: str
    model: ModelRecord
    machine: str
    options: OptionsRecord
    encoders: dict[str, str]
    weights: dict[str, str]
    missing: list[str]
    editors: dict[str, EditorRecord]
    measures: dict[str, MeasureRecord]
    cases: dict[str, CaseRecord]
    values: dict[str, dict[str, dict[str, float]]]
    figures: dict[str, Row]
    kinds: dict[str, dict[str, Row]]
    by_type: ByType
    types: dict[str, Row]
    survey: dict[str, Row]
    seconds: dict[str, Seconds]
    refused: dict[str, list[str]]
    conclusions: list[str]
    columns: NotRequired[list[str]]
