"""Training computes in bfloat16 only where a processor does so itself."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from tests.patience import patience
from velatura_lab.training.precision import is_bfloat16_fast, mixed

CODE = """
import torch
from velatura_lab.training.precision import mixed
with mixed(torch.device("cpu")):
    print((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
"""


def test_products_are_in_the_precision_that_is_fast():
    cpu = torch.device("cpu")
    with mixed(cpu):
        dtype = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert dtype == (torch.bfloat16 if is_bfloat16_fast(cpu) else torch.float32)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AVX2 is of x86")
def test_a_processor_with_avx2_only_trains_in_float32():
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "ONEDNN_MAX_CPU_ISA": "AVX2"}
    words = [sys.executable, "-c", CODE]
    ran = subprocess.run(words, env=env, check=True, capture_output=True, text=True, timeout=patience(60))
    assert ran.stdout.strip() == "torch.float32"
