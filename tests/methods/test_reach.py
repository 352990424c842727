"""How much of the picture a concept may change, and that it fills a smaller place that a person has drawn."""

from __future__ import annotations

import pytest
import torch

from tests.methods.requests import Edit, box, picture
from velatura.methods.steering import quantile

CONCEPTS = {
    "sega": lambda reach: {"more": "snow", "strength": 100.0, "reach": reach},
    "ledits": lambda reach: {"text": "snow", "scale": 20.0, "threshold": 1.0 - reach},
}


def masks(*cells):
    """[1, 1, 8, 5] each, with the first cells selected, softly."""
    made = []
    for count in cells:
        m = torch.zeros(1, 1, 8, 5)
        m.view(-1)[:count] = 0.5
        made.append(m)
    return made


def test_a_reach_is_a_share_of_the_picture_and_its_quantile_of_the_places_that_may_change():
    whole, half, tenth = masks(40, 20, 4)
    assert quantile(0.3, whole) == pytest.approx(0.7)
    assert quantile(0.3, half) == pytest.approx(0.4)  # 12 of 20 places are 3 tenths of 40
    assert quantile(0.3, tenth) == 0.0
    assert quantile(0.3, whole, half) == quantile(0.3, half, whole) == quantile(0.3, half)
    assert quantile(1.0, whole) == 0.0
    assert quantile(0.3, masks(0)[0]) == 0.0


@pytest.mark.parametrize("method", CONCEPTS)
def test_a_concept_fills_a_selection_that_is_smaller_than_its_reach(models, method):
    def made(reach, mask):
        values = {
            "source_prompt": "a red hat",
            "concepts": [CONCEPTS[method](reach)],
            "steps": 4,
            "context": 1.0,
        }
        return Edit(picture(80, 100), mask, method=method, parameters=values).run(models)[0].data

    small = box(80, 100, (36, 44), (40, 48))
    assert made(0.5, small) == made(0.9, small)
    assert made(0.2, None) != made(0.9, None)
