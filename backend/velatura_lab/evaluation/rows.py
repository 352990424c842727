"""The rows of a study: methods without a selection, each once for each of its settings, with one cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from velatura.methods.registry import registry
from velatura.models.store import ModelStore

from .cases import Case
from .editors import Editor, MethodEditor, check_rows, shared_cache
from .encoders import Encoders
from .runs import Results

C = TypeVar("C", bound=Case)
B = TypeVar("B")


class Row(NamedTuple):
    """A row of a study.

    Args:
        method: id of the method.
        editor: makes the row's pictures with it.
        settings: values in place of the defaults.
    """

    method: str
    editor: type[MethodEditor] = MethodEditor
    settings: Mapping[str, Any] = {}


def editors_of(
    known: Mapping[str, Row],
    rows: Sequence[str],
    models: ModelStore,
    model: str,
    defaults: Mapping[str, Any],
    *,
    cycles: bool = False,
) -> list[Editor]:
    """The editors of some rows. All share one cache, so their seconds are not those of an edit made alone.

    Args:
        known: the rows that the study has.
        rows: the names of those to make; all where empty.
        models: the model and its companions.
        model: its id, or '' for the default one.
        defaults: see `MethodEditor`.
        cycles: see `Editor`.

    Raises `bad-request` for unknown rows.
    """
    check_rows(rows, known)
    cache = shared_cache()
    return [
        row.editor(
            registry()[row.method],
            models,
            model,
            {**defaults, **row.settings},
            masked=False,
            id=f"{row.method}: {name}",
            title=name,
            cycles=cycles,
            cache=cache,
        )
        for name, row in ((name, known[name]) for name in rows or known)
    ]


def batches(
    make: Callable[[C, NDArray[np.uint8], Encoders], B],
) -> Callable[[str, C, Results, Encoders], B | None]:
    """The function from an editor's id, a case and all results to the results for this case, or None if the
    editor refused it.

    make: gives the results of a case from its pictures, uint8 [N, h, w, 3].
    """

    def batch_of(editor: str, case: C, results: Results, encoders: Encoders) -> B | None:
        done = results.get((editor, case.id, "edit"))
        return None if done is None or done.refusal else make(case, done.pictures, encoders)

    return batch_of
