"""Methods that only tests have, and a daemon that offers them beside its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SITE = Path(__file__).parent / "site"


def environment() -> dict[str, str]:
    """For a daemon: its methods are then also those of this folder."""
    return {"PYTHONPATH": os.pathsep.join([str(SITE), *sys.path])}
