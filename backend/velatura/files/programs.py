"""Modules of this package as programs of their own."""

from __future__ import annotations

import sys


def program(module: str, *words: str) -> tuple[str, ...]:
    """The command that runs a module with these words, by the same Python.

    -P keeps the current folder off the path of modules: a `torch.py` beside an artist's pictures is no part
    of Velatura and must not run.
    """
    return (sys.executable, "-P", "-m", module, *words)
