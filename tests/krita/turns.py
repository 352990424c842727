"""Generators of pieces (`velatura_krita.steps`) run to their end, without an event loop."""

from collections.abc import Generator
from typing import Any


def finish(steps: Generator[int, None, Any]) -> Any:
    """Run all pieces; return what the generator returns."""
    outcome = []

    def whole() -> Generator[int, None, None]:
        outcome.append((yield from steps))

    for _wait in whole():
        pass
    return outcome[0]
