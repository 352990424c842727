"""`velatura bench guided` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from velatura_lab.bench.guided import main
from velatura_lab.bench.shapes import Shaped, sd15

pytestmark = pytest.mark.slow

QUICK = ["--steps", "5", "--repeat", "1", "--variations", "2", "--published-steps", "2", "--fit-steps", "1"]


def test_the_figures_of_both_parts_are_whole(capsys):
    assert main([*QUICK, "--side", "8", "--device", "cpu", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    concepts, blended = figures["concepts"], figures["blended"]
    assert concepts["steps"] == 5 and concepts["latents"][1:] == [8, 8]
    for name in ("seconds", "ratios", "processor_ratios", "peak_mib"):
        assert min(concepts[name].values()) > 0
    assert len(concepts["seconds"]) == 3 * 5
    assert (blended["variations"], blended["steps"], blended["fitted"], blended["size"]) == (2, 2, 1, 64)
    for name in ("seconds", "processor_seconds", "peak_mib"):
        assert min(blended[name].values()) > 0
    assert blended["ratio"] == pytest.approx(blended["seconds"]["ours"] / blended["seconds"]["published"])
    for stages, names in (
        ("ours", {"Editing", "Ranking", "Joining to the layer"}),
        ("published", {"Decoding"}),
    ):
        assert names < blended["stages"][stages].keys() == blended["processor_stages"][stages].keys()


def test_a_part_is_measured_alone_and_the_report_says_what_was_measured(capsys):
    asked = ["--part", "blended", "--side", "4", "--device", "cpu"]
    assert main([*QUICK, *asked]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("embedded, ") and f"{torch.get_num_threads()} threads" in lines[0]
    assert "2 variations of 32 pixels" in lines[2] and not any(line.startswith("SEGA") for line in lines)
    assert any(line.startswith("ours / published: ") for line in lines)


def test_the_shape_of_stable_diffusion_is_whole_and_has_the_embedded_companions():
    embedded = Shaped("embedded", "cpu").shaped()
    model = sd15(dataclasses.replace(embedded, device=torch.device("meta")))
    assert sum(weight.numel() for weight in model.unet.parameters()) == 859_520_964
    assert sum(weight.numel() for weight in model.autoencoder.parameters()) == 83_653_863
    assert (model.size, model.factor, model.prompt_tokens) == (512, 8, 77)
    assert model.text_encoder.config.hidden_size == 768
    models = Shaped("sd15", "cpu", side=16)
    assert models.entry().companions.keys() >= {"clip"}


def test_a_shaped_store_keeps_its_model():
    models = Shaped("embedded", "cpu", side=4)
    assert models.shaped().size == 32 and models.diffusion() is models.shaped() is models.get()
