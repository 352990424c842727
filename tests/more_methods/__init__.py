"""Methods that only tests have, and a daemon that offers them beside its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SITE = Path(__file__).parent / "site"
LET_END = "let-end"
"""In a state directory: the file at which the method `until-told` ends."""


def environment() -> dict[str, str]:
    """For a daemon: its methods are then also those of this folder."""
    return {"PYTHONPATH": os.pathsep.join([str(SITE), *sys.path])}


def let_end(state_dir: Path) -> None:
    """Jobs of the method `until-told`, which would run for ever, end now, also those still to come."""
    (state_dir / LET_END).touch()
