"""`velatura evaluate --study NAME`: comparisons that choose the settings that ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from velatura.models.store import ModelStore

from . import blended, dials, faces, flows, selections, sliders, together
from . import prompt_to_prompt as words
from .session import Options, Session


class Prepare(Protocol):
    """Loads the networks of an evaluation and draws its cases; see `session.prepare`."""

    def __call__(self, options: Options, models: ModelStore, *, defaults: Mapping[str, Any]) -> Session: ...


STUDIES: dict[str, Prepare] = {
    "words": words.prepare,
    "selections": selections.prepare,
    "sliders": sliders.prepare,
    "dials": dials.prepare,
    "together": together.prepare,
    "flow": flows.prepare,
    "faces": faces.prepare,
    "joins": blended.prepare_joins,
    "thin": blended.prepare_thin,
    "precision": blended.prepare_precision,
}
