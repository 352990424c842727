"""LEDITS++ with the model that ships: what was added or removed is read by the judge."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.test_embedded_flow import PORTRAIT, edit, judge, memory, models, portrait, read

__all__ = ["edit", "judge", "memory", "models", "portrait"]

CAPTION = PORTRAIT["caption"]
STEPS = 14


def with_concepts(edit, *concepts, **more):
    listed = [dict(zip(("text", "scale"), concept, strict=True)) for concept in concepts]
    return edit("ledits", concepts=listed, steps=STEPS, **more)


@pytest.mark.slow
def test_concepts_are_added_and_removed_and_the_rest_stays(edit, judge, portrait):
    with_glasses = with_concepts(edit, ("glasses", 4.0))
    both = with_concepts(edit, ("glasses", 4.0), ("a beard", 4.0))
    before, one, two = read(judge, portrait, with_glasses, both)
    assert before.values["glasses"] == "none" and not before.values["beard"], json.dumps(before.values)
    assert one.values["glasses"] == "glasses" and not one.values["beard"]
    assert two.values["glasses"] == "glasses" and two.values["beard"]
    for name in ("shirt_colour", "background"):  # not the skin, which two concepts on one face may tan
        assert one.values[name] == two.values[name] == before.values[name]
    assert np.array_equal(with_concepts(edit, ("glasses", 0.0)), portrait)
