"""A few small cases, and editors on tiny random models of all kinds."""

from dataclasses import replace

import pytest
import torch

from tests.tiny import tiny_clip, tiny_clipseg, tiny_model, tiny_pixel_model, tiny_vq
from tests.tiny_styles import tiny_styles
from velatura.generators.protocol import PIXEL_DIFFUSION
from velatura.generators.styles import STYLE
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_lab.evaluation.cases import world_cases
from velatura_lab.evaluation.encoders import Encoders, JudgeFeatures
from velatura_lab.readers.clip import load_clip
from velatura_lab.readers.identity import IdentityEncoder
from velatura_lab.readers.judge import Judge, questions_of
from velatura_lab.world.scene import ATTRIBUTES


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny"), vae="tiny")
    clip = {"clip": str(tiny_clip(folder / "clip"))}
    companions = clip | {"segmenter": str(tiny_clipseg(folder / "segmenter"))}
    styles = tiny_styles(folder / "styles")
    pixels, vq = tiny_pixel_model(folder / "pixels", 64), tiny_vq(folder / "vq", size=64)
    return ModelStore(
        [
            ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64, companions),
            ModelEntry("pixels", "Pixels", "pixels", str(pixels), 64, clip, generator=PIXEL_DIFFUSION),
            ModelEntry("vq", "VQ", "vq", str(vq), 64, clip, generator="vq"),
            ModelEntry("styles", "Styles", "style", str(styles), 32, companions, generator=STYLE),
        ]
    )


@pytest.fixture(scope="session")
def cases():
    """Three portraits of 64 pixels; the tiny model reads short prompts only."""
    found = world_cases(["portrait"], 3, 5, 64)
    short = {"source_prompt": "a face", "thing": "a face", "new_thing": "a hat"}
    return [replace(case, **short, target_prompt=f"a face, {case.edit}") for case in found]


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Networks of the readers' own classes with random weights: everything can be looked at, nothing read."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        values = {kind: {n: a.values for n, a in found.items()} for kind, found in ATTRIBUTES.items()}
        judge = Judge(questions_of(values)).eval()
        identity = IdentityEncoder().eval()
    clip = load_clip(tiny_clip(tmp_path_factory.mktemp("clip")))
    names = {part: f"random {part}" for part in ("judge", "clip", "identity", "features")}
    return Encoders(judge, clip, identity, JudgeFeatures(judge), names=names)
