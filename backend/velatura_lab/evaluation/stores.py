"""The model for each method: the evaluation's own, or one of the kind that the method wants."""

from __future__ import annotations

from collections.abc import Sequence

from velatura.generators import kinds
from velatura.methods.base import Method
from velatura.methods.checks import suits
from velatura.models.store import ModelStore
from velatura.models.traits import NEEDED


class Stores:
    """The stores of one evaluation. Each keeps one model in memory, so that methods of several kinds can take
    turns on every case without loading again.

    Args:
        models: the evaluation's model, and models of other kinds beside it.
        model: its id, or '' for the default one.
    """

    def __init__(self, models: ModelStore, model: str = "") -> None:
        self._models, self._model = models, model
        self._others: dict[str, ModelStore] = {}

    def of(self, method: Method) -> ModelStore | None:
        """`models`, or a store of the first model that suits the method; None if there is none."""
        if suits(method, self._models.entry(self._model)):
            return self._models
        entry = self._models.entry("", lambda entry: suits(method, entry))
        if not suits(method, entry):
            return None
        if entry.id not in self._others:
            self._others[entry.id] = ModelStore([entry], self._models.device, self._models.dtype)
        return self._others[entry.id]

    def left_out(self, methods: Sequence[Method]) -> list[str]:
        """A sentence for each method without a model of its kind."""
        return [
            f"“{method.title}” needs {NEEDED.get(method.trait) or kinds.titles_of(method.generator)},"
            " so it is left out."
            for method in methods
            if self.of(method) is None
        ]
