"""How long a test waits before it takes something for hung.

Every limit in a test is there to end a hang, never to judge a speed.  All limits are multiplied by one
number, so that processors several times slower, or busy with other work, break none of them.  The environment
variable VELATURA_TEST_PATIENCE sets another number.
"""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("VELATURA_TEST_PATIENCE", "5"))


def patience(seconds: float) -> float:
    """A limit in seconds, as it holds on this machine."""
    return seconds * PATIENCE
