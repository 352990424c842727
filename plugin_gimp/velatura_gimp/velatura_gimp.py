#!/usr/bin/env python3
"""Velatura in GIMP 3: the file that GIMP starts; everything else is in `velatura_plugin`.

GIMP starts it once to ask for its procedures (and again whenever this file has a new modification time), and
then once for each procedure that is run.
"""

import sys

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")

from gi.repository import Gimp  # noqa: E402
from velatura_plugin.procedures import VelaturaPlugIn  # noqa: E402

if __name__ == "__main__":
    Gimp.main(VelaturaPlugIn.__gtype__, sys.argv)
