"""This machine, as `velatura.install` describes machines."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from velatura.install.profiles import Machine


def this_machine() -> Machine:
    """Return the platform, environment, home and PATH of this process."""
    return Machine(sys.platform, os.environ, Path.home(), shutil.which)
