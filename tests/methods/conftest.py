"""A store with a tiny model of each kind and their companions."""

import pytest

from tests.tiny import tiny_blip, tiny_clip, tiny_clipseg, tiny_model, tiny_pixel_model
from velatura.generators.protocol import PIXEL_DIFFUSION
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore


@pytest.fixture(scope="session")
def entries(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny"), vae="tiny")
    companions = {
        "clip": str(tiny_clip(folder / "clip")),
        "captioner": str(tiny_blip(folder / "captioner")),
        "segmenter": str(tiny_clipseg(folder / "segmenter")),
    }
    path = str(tiny_pixel_model(tmp_path_factory.mktemp("pixels"), 64))
    clip = {"clip": companions["clip"]}
    return [
        ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64, companions),
        ModelEntry("pixels", "Pixels", "pixels", path, 64, clip, generator=PIXEL_DIFFUSION),
    ]


@pytest.fixture(scope="session")
def models(entries):
    return ModelStore(entries)
