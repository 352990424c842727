"""Deep dials with the model that ships: a dial raises its degree evenly and leaves the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velatura.models.catalogue import entries
from velatura.models.store import ModelStore
from velatura_lab.evaluation import dials, sliders
from velatura_lab.evaluation.encoders import home_made
from velatura_lab.evaluation.session import Options


@pytest.mark.slow
def test_a_deep_dial_raises_its_degree_and_keeps_the_rest(tmp_path):
    (change,) = (one for one in sliders.graded("portrait") if one.name == "broader smile")
    (drawn,) = sliders.slides("portrait", change, 1, 7, 128)
    (row,) = dials.editors(ModelStore(entries(tmp_path)), Options(methods=["deep"]), {"steps": 12})
    case = replace(drawn, weights=(0.0, 30.0, 60.0, 100.0))
    turned = dials.Dialled(case, row.edit(case, [1]).pictures, home_made())
    assert np.array_equal(turned.at(0.0), case.source)
    assert dials.MEASURES["spearman"].of(turned) >= 0.9
    assert dials.MEASURES["travel"].of(turned) > 0.2
    assert turned.kept >= 0.85 and dials.MEASURES["leakage"].of(turned) < 12.0
