"""The picture that ships, with masks as a hand would draw them and what the demonstration does with them."""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).resolve().parent
