"""JSON values with their types. Each function returns the value, or None where it has another type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard, cast

JsonObject = dict[str, Any]  #: a JSON object of any JSON values


def as_object(value: object) -> dict[str, object] | None:
    """A JSON object; its keys are strings, because JSON has no others."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """A JSON list."""
    return cast("list[object]", value) if isinstance(value, list) else None


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_integer(value: object, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`; True and False are none."""
    return value if type(value) is int and low <= value <= high else None


def text_of(value: Mapping[str, object], key: str) -> str:
    """The text under this key; empty where there is none."""
    text = value.get(key)
    return text if isinstance(text, str) else ""
