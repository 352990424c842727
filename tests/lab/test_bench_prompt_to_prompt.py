"""`velatura bench words` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F

from tests.prompt_to_prompt.test_edit import N, T, everything
from velatura.daemon.worker.runner import Runner
from velatura_lab.bench import observe, shapes
from velatura_lab.bench.edits import Edits
from velatura_lab.bench.observe import operations, peak
from velatura_lab.bench.prompt_to_prompt import main, measure, report

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_figures_are_whole(capsys, dtype):
    asked = ["--json", "--steps", "2", "--repeat", "1", "--side", "8", "--device", "cpu", "--dtype", dtype]
    assert main(asked) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["steps"] == 2 and figures["dtype"] == dtype and figures["latents"][1:] == [8, 8]
    for name in ("seconds", "processor_seconds", "ratios", "processor_ratios", "peak_mib"):
        assert min(figures[name].values()) > 0
    features = figures["features"]
    assert 0 < features["needed_mib"] == features["kept_mib"] and features["kept_steps"] == 2
    assert figures["share_of_matrix_rate"] > 0


def test_the_report_says_what_was_measured(capsys):
    assert main(["--steps", "1", "--repeat", "1", "--side", "8", "--device", "cpu"]) == 0
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert "embedded" in first and "float32" in first and f"{torch.get_num_threads()} threads" in first
    assert "x 8 x 8" in second and "1 steps" in second


@pytest.fixture
def edits(sharp):
    """An edit of the tiny model in which everything is done that a shipped one does."""
    control, local = everything()
    control = dataclasses.replace(control, value_steps=0, value_share=0.0, self_share=0.25)
    model = dataclasses.replace(sharp, guidance_rescale=0.7)
    local = dataclasses.replace(local, threshold=0.9)  # random maps are flat
    return dataclasses.replace(Edits.of(model, T, N), control=control, local=local)


def difference(a, b):
    return float((a - b).norm() / b.norm())


@torch.inference_mode()
def test_maps_that_are_built_make_the_same_edit(edits):
    assert difference(edits.explicit(), edits.edit()) < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@torch.inference_mode()
def test_maps_that_are_built_make_the_edit_that_is_measured(sharp, dtype):
    unet = sharp.unet if dtype == torch.float32 else copy.deepcopy(sharp.unet).to(dtype)
    edits = Edits.of(dataclasses.replace(sharp, unet=unet, dtype=dtype), T, N)
    assert difference(edits.explicit(), edits.edit()) < (1e-4 if dtype == torch.float32 else 0.05)


@pytest.mark.parametrize(
    "without", ["local blend", "renormalising", "rescaling", "alignment", "self-attention"]
)
@torch.inference_mode()
def test_nothing_that_an_edit_does_is_without_effect_on_that_comparison(edits, without):
    control = edits.control
    less = {
        "local blend": {"local": dataclasses.replace(edits.local, start=N)},
        "renormalising": {"control": dataclasses.replace(control, renormalise=False)},
        "rescaling": {"model": dataclasses.replace(edits.model, guidance_rescale=0.0)},
        "alignment": {"control": dataclasses.replace(control, A=torch.eye(T))},
        "self-attention": {"control": dataclasses.replace(control, self_steps=0)},
    }[without]
    assert difference(dataclasses.replace(edits, **less).explicit(), edits.edit()) > 1e-3


def test_as_much_is_kept_of_a_layer_as_the_daemon_keeps(edits, tmp_path):
    assert edits.limit == Runner(tmp_path, "cpu")._cache.largest


@torch.inference_mode()
def test_what_an_edit_needs_is_told_beside_what_is_kept(edits):
    _, plenty = edits.first()
    trajectory, little = (few := dataclasses.replace(edits, limit=plenty.nbytes // 2)).first()
    assert little.needed == plenty.needed == plenty.nbytes > 2 * little.nbytes > 0
    few.along(trajectory, little)
    assert little.needed == plenty.needed

    figures = {"shape": "tiny"} | measure(few, 1)
    features = figures["features"]
    assert features["kept_mib"] < features["limit_mib"] < features["needed_mib"]
    assert 0 < features["kept_steps"] < N
    assert f"for {features['kept_steps']} of {N} steps" in report(figures)
    assert "runs the source again" in report(figures)
    whole = figures | {"features": features | {"kept_steps": N}}
    assert "runs the source again" not in report(whole)


def test_operations_of_products_and_of_attention_are_counted():
    a, b = torch.randn(3, 8, 16), torch.randn(16, 32)
    q = torch.randn(2, 4, 64, 8)
    with torch.inference_mode():
        assert operations(lambda: a @ b) == 2 * 3 * 8 * 16 * 32
        attention = operations(lambda: F.scaled_dot_product_attention(q, q, q))
    assert attention == 2 * (2 * 2 * 4 * 64 * 64 * 8)


@pytest.mark.parametrize(("enough", "sides"), [(0.0, [256]), (1e9, [256, 512, 1024, 2048])])
def test_a_matrix_rate_is_measured_with_products_no_larger_than_it_needs(monkeypatch, enough, sides):
    """A processor that emulates bfloat16 multiplies matrices of 2048 a side in eight seconds."""
    monkeypatch.setattr(observe, "TIMED", enough)
    counted = operations(lambda: observe.matrix_rate(CPU, torch.float32, repeat=1))
    assert counted == sum(2 * side**3 for side in sides)


def test_the_peak_is_of_what_lives_at_a_time_and_was_not_there_before():
    x = torch.zeros(1024)

    def run():
        y = x + 1.0  # 4 KiB
        y.mul_(2.0)
        z = y.view(32, 32).T  # none
        del y, z
        a, b = x + 1.0, x + 2.0  # 8
        return a + b  # 12

    with torch.inference_mode():
        assert peak(run, CPU) == 3 * 4096


@pytest.mark.parametrize(("shape", "millions"), [("sd15", 859.5), ("sdxl", 2561)])
def test_networks_have_the_weights_of_those_that_they_are_named_after(shape, millions):
    """SDXL's embedding of sizes, which is left out, has 5.2 million of its 2567.5."""
    with torch.device("meta"):
        unet = shapes.UNet2DConditionModel(**shapes.SHAPES[shape])
    assert sum(weight.numel() for weight in unet.parameters()) / 1e6 == pytest.approx(millions, rel=2e-3)
