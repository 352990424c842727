"""Scenes of every kind and style, for the tests of the world."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from velatura_lab.world import STYLES, edit, sample_scene

numbers = st.integers(0, 2**31 - 1)
kinds = st.sampled_from(("portrait", "landscape", "table"))
every_kind = pytest.mark.parametrize("kind", ("portrait", "landscape", "table"))
every_style = pytest.mark.parametrize("style", STYLES)


def scene_number(kind: str, number: int, **changes):
    return edit(sample_scene(np.random.default_rng(number), kind), **changes)
