"""`velatura bench words` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F

from velatura.bench import shapes
from velatura.bench.observe import operations, peak
from velatura.bench.words import main

CPU = torch.device("cpu")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_figures_are_whole(capsys, dtype):
    asked = ["--json", "--steps", "2", "--repeat", "1", "--side", "8", "--device", "cpu", "--dtype", dtype]
    assert main(asked) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["steps"] == 2 and figures["dtype"] == dtype and figures["latents"][1:] == [8, 8]
    for name in ("seconds", "processor_seconds", "ratios", "processor_ratios", "peak_mib"):
        assert min(figures[name].values()) > 0
    assert figures["features_mib"] > 0
    assert figures["share_of_matrix_rate"] > 0


def test_the_report_says_what_was_measured(capsys):
    assert main(["--steps", "1", "--repeat", "1", "--side", "8", "--device", "cpu"]) == 0
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert "embedded" in first and "float32" in first and f"{torch.get_num_threads()} threads" in first
    assert "x 8 x 8" in second and "1 steps" in second


def test_operations_of_products_and_of_attention_are_counted():
    a, b = torch.randn(3, 8, 16), torch.randn(16, 32)
    q = torch.randn(2, 4, 64, 8)
    with torch.inference_mode():
        assert operations(lambda: a @ b) == 2 * 3 * 8 * 16 * 32
        attention = operations(lambda: F.scaled_dot_product_attention(q, q, q))
    assert attention == 2 * (2 * 2 * 4 * 64 * 64 * 8)


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
