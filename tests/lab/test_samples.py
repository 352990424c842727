"""The sample that ships is what the world draws today."""

import json

import numpy as np
from PIL import Image

from velatura_lab.training.samples import EDITS, SAMPLES, write_samples


def test_the_sample_that_ships_is_what_the_world_draws(tmp_path):
    write_samples(tmp_path)
    assert json.loads((tmp_path / "samples.json").read_text()) == json.loads(
        (SAMPLES / "samples.json").read_text()
    )
    for name in ("portrait.png", *(f"masks/{edit}.png" for edit in EDITS)):
        new, shipped = (np.asarray(Image.open(folder / name), np.int16) for folder in (tmp_path, SAMPLES))
        assert new.shape == shipped.shape
        assert np.abs(new - shipped).max() <= 1, name  # processors round differently
