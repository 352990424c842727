"""`velatura bench models` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import json

import pytest
import torch

from velatura.models import placing
from velatura.weights import memory
from velatura_lab.bench import pipelines, rungs
from velatura_lab.bench.models import Runs, counting_rows, main
from velatura_lab.bench.networks import SHAPES, Size

CPU, STEPS, PIXELS = torch.device("cpu"), 2, 64
SMALL = Size(1, PIXELS, STEPS, narrow=True)
MILLIONS = {
    "sd15": 859.5,
    "sdxl": 2567.5,
    "flux1": 11901,
    "klein": 3876,
    "z-image": 6155,
    "qwen-image": 20430,
}
"""Of the published networks."""


@pytest.fixture(params=SHAPES)
def runs(request):
    shape = SHAPES[request.param]
    return Runs.of(shape, shape.made(SMALL, CPU, torch.float32), PIXELS, STEPS)


@torch.inference_mode()
def test_both_do_the_same_work_and_an_edit_as_much_as_its_goal_says(runs):
    """Of flows both make the same picture; diffusers' steps of other networks lie elsewhere."""
    theirs = pipelines.sampling(runs.shape, runs.model, runs.n, STEPS)
    rows, results = {}, {}
    kinds = {"theirs": theirs, "ours": runs.plain, "two": lambda: runs.plain(2)}
    for name, run in (kinds | {"words": runs.words, "align": runs.align}).items():
        with counting_rows(runs.model) as counted:
            results[name] = run()
        rows[name] = sum(counted)
        assert bool(results[name].isfinite().all())
    assert rows["theirs"] == rows["ours"] == STEPS * (1 if runs.guidance == 1.0 else 2)
    assert rows["words"] == rows["two"] == 2 * rows["ours"]
    assert 2 * STEPS < rows["align"] <= 3 * STEPS
    ours = results["ours"]
    assert not results["words"].equal(ours)
    if runs.model.prediction == "flow":
        made = ours if runs.shape.family != "flux2" else runs.model._unscaled(ours)
        assert (made - results["theirs"]).abs().max() < 1e-3 * max(1.0, float(made.std()))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_whole_networks_have_as_many_weights_as_the_published_ones(name):
    shape = SHAPES[name]
    with torch.device("meta"):
        network = shape.network(Size(shape.depth, shape.pixels, STEPS))
    weights = sum(weight.numel() for weight in network.parameters())
    assert weights / 1e6 == pytest.approx(MILLIONS[name], rel=5e-3)


@pytest.mark.parametrize("name", ["sd15", "flux1"])
def test_every_rung_takes_less_memory_than_the_one_before(name, monkeypatch):
    shape = SHAPES[name]
    size = Size(4, PIXELS, STEPS, narrow=True)
    counted = rungs.counted(shape, size)
    assert list(counted) == list(placing.PLACED)
    assert sorted(counted.values(), reverse=True) == list(counted.values())
    monkeypatch.setattr(memory, "free", lambda _: 1)
    assert rungs.counted(shape, size) == counted, "whatever is free just now"
    readers = 2 * int(sum(shape.readers) * 1e6)
    weights = sum(placing.nbytes(n) for n in shape.made(size, CPU, torch.bfloat16).networks.values())
    assert counted[placing.WHOLE] > weights + readers


def test_of_an_offloaded_network_one_block_is_on_the_device_beside_the_rest():
    network = torch.nn.Module()
    network.blocks = torch.nn.ModuleList(torch.nn.Linear(8, 8 * (i + 1), bias=False) for i in range(3))
    network.out = torch.nn.Linear(8, 8, bias=False)
    assert rungs._apart(network) == 4 * (64 * 3 + 64)


@pytest.mark.slow
def test_the_figures_are_whole(capsys):
    asked = ["--family", "klein", "--narrow", "--size", "64", "--device", "cpu"]
    assert main([*asked, "--json"]) == 0
    (figures,) = json.loads(capsys.readouterr().out)
    assert figures["depth"] == 1 and figures["of_depth"] == 5 and figures["latents"] == [128, 4, 4]
    for name in ("seconds", "rows", "ratios", "peak_mib"):
        assert min(figures[name].values()) > 0
    assert set(figures["rungs_mib"]["counted"]) == set(placing.PLACED)
    assert main(asked) == 0
    assert "FLUX.2 klein 4B at depth 1 of 5, narrow" in capsys.readouterr().out
