"""The weights that ship: the embedded model, its companions and the laboratory's readers."""

from __future__ import annotations

from pathlib import Path

BUNDLES = Path(__file__).resolve().parent
