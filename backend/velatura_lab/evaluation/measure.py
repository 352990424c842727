"""A measure: a function of one batch with its definition, how it is shown and how its values are averaged.

The docstring of the function is the definition with its source, and is printed in the report. The function
gives one value for each picture or one for the batch, and NaN where there is nothing to measure. A figure is
the mean over cases of the mean over each case's pictures: cases are independent of each other, pictures of
one case are not.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from velatura_protocol.errors import VelaturaError

from . import statistics

B = TypeVar("B")  # the argument of a study's measures: a Batch, or a class of the study
NAN = math.nan
#: Group of measures -> heading, in the order of the report.
GROUPS = {
    "asked": "Does it do what was asked?",
    "rest": "Does it leave the rest alone?",
    "many": "Several variations at once",
    "back": "There and back again",
    "found": "Does it find the named things?",
    "slides": "Does it follow the weight?",
    "pie-bench": "PIE-Bench's metrics",
}


@dataclass(frozen=True)
class Measure:
    """A measure with its presentation.

    Args:
        id: unique in a study.
        title: of its column.
        unit: of its column; values in "%" are shares in 0..1.
        group: a key of `GROUPS`.
        better: which values are better.
        function: takes a batch of its study.
        needs: parts of `Encoders`.
        digits: after the decimal point.
        rate: whether it is a share of trials, whose interval is Wilson's.
    """

    id: str
    title: str
    unit: str
    group: str
    better: Literal["higher", "lower"]
    function: Callable[[Any], Sequence[float]]
    needs: tuple[str, ...] = ()
    digits: int = 2
    rate: bool = False

    @property
    def definition(self) -> str:
        """The function's docstring in one paragraph."""
        return " ".join(inspect.cleandoc(self.function.__doc__ or "").split())

    def of(self, batch: Any) -> float:
        """The mean of the finite values of a batch; NaN where there are none."""
        values = [value for value in map(float, self.function(batch)) if math.isfinite(value)]
        return sum(values) / len(values) if values else NAN

    def estimate(self, values: Sequence[float]) -> statistics.Estimate:
        """Mean and interval over cases."""
        kept = [value for value in values if not math.isnan(value)]
        return statistics.wilson(sum(kept), len(kept)) if self.rate else statistics.bootstrap(kept)


def measure(
    id: str,
    title: str,
    unit: str,
    group: str,
    better: Literal["higher", "lower"],
    *needs: str,
    digits: int = 2,
    rate: bool = False,
    into: dict[str, Measure],
) -> Callable[[Callable[[B], Sequence[float]]], Callable[[B], Sequence[float]]]:
    """Registers a function in `into` as a `Measure`. Raises TypeError if it has no docstring."""

    def registered(function: Callable[[B], Sequence[float]]) -> Callable[[B], Sequence[float]]:
        if not function.__doc__:
            raise TypeError(f"the measure {id} has no definition")
        into[id] = Measure(id, title, unit, group, better, function, needs, digits, rate)
        return function

    return registered


def chosen_measures(names: Sequence[str], known: Mapping[str, Measure]) -> Mapping[str, Measure]:
    """The named measures, or all where no name is given, in the report's order. Raises `bad-request` for an
    unknown name."""
    for name in names:
        if name not in known:
            raise VelaturaError(
                "bad-request", f"There is no measure {name!r}; there are: {', '.join(known)}."
            )
    return {name: measure for name, measure in known.items() if not names or name in names}
