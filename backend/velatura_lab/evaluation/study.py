"""`velatura evaluate --study NAME`: comparisons that choose the settings we ship."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from velatura.models.store import ModelStore

from . import dials, flows, selections, sliders
from . import prompt_to_prompt as words
from .session import Options, Session

Prepare = Callable[[Options, ModelStore, Mapping[str, Any]], Session]

STUDIES: dict[str, Prepare] = {
    "words": words.prepare,
    "selections": selections.prepare,
    "sliders": sliders.prepare,
    "dials": dials.prepare,
    "flow": flows.prepare,
}
