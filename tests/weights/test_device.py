"""The one choice of a device: what there is, what is not, and what the doctor is told of it."""

import json
import subprocess
import sys

import pytest
import torch

from velatura.weights import device
from velatura_protocol.errors import VelaturaError


def test_the_first_choice_is_a_gpu_where_there_is_one(monkeypatch):
    present: set[str] = set()
    for kind, module in (("cuda", torch.cuda), ("xpu", torch.xpu), ("mps", torch.backends.mps)):
        monkeypatch.setattr(module, "is_available", lambda kind=kind: kind in present)
    everything = {"cuda", "xpu", "mps"}
    cases = ((everything, "cuda:0"), ({"xpu", "mps"}, "xpu:0"), ({"mps"}, "mps"), (set(), "cpu"))
    for there, expected in cases:
        present.clear()
        present.update(there)
        assert device.choose() == device.choose("auto") == expected


def test_a_device_that_is_named_is_tried():
    assert device.choose("cpu") == "cpu"
    for absent in ("cuda:77", "abacus", "meta"):
        with pytest.raises(VelaturaError, match=f"no device '{absent}' here; choose auto or cpu") as caught:
            device.choose(absent)
        assert caught.value.code == "bad-request"


def test_a_device_has_a_name():
    assert device.name("cpu").endswith(" CPU")
    assert device.name(torch.device("mps")).endswith(" GPU (MPS)")


@pytest.mark.parametrize(("wanted", "fault"), [("cpu", ""), ("abacus", "There is no device 'abacus'")])
def test_what_the_doctor_is_told(wanted, fault):
    command = [sys.executable, "-m", "velatura.weights.device", wanted]
    reply = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    version, name, sentence = json.loads(reply.stdout)
    assert (version, name) == (torch.__version__, "")
    assert sentence.startswith(fault) and bool(sentence) == bool(fault)
