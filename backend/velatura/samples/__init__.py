"""The picture that ships, masks as drawn by hand, and the edits of the demonstration."""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).resolve().parent
