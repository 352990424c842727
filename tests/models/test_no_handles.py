"""A process that may open no further file says so, and blames no model for it."""

from __future__ import annotations

import os
import sys

import pytest

from tests.tiny import register_tiny_model
from velatura.models import catalogue, model_list
from velatura.models.headers import read_header
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, sets limits")


@pytest.fixture
def no_handles():
    """Within the test each attempt to open a file fails with EMFILE, once it calls this."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def begin():
        least = max(map(int, os.listdir("/proc/self/fd"))) + 1
        taken = [os.open("/dev/null", os.O_RDONLY)]
        while taken[-1] < least - 1:  # gaps between the numbers
            taken.append(os.open("/dev/null", os.O_RDONLY))
        opened.extend(taken)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, before[1]))

    opened: list[int] = []
    yield begin
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for handle in opened:
        os.close(handle)


@pytest.mark.parametrize("what", ["list", "entry", "header"])
def test_no_further_file_is_a_fault_that_passes(tmp_path, tiny_folder, no_handles, what):
    register_tiny_model(tmp_path, tiny_folder)
    [item] = model_list.read(tmp_path)
    weights = next((tiny_folder / "unet").glob("*.safetensors"))
    look = {
        "list": lambda: catalogue.entries(tmp_path),
        "entry": lambda: catalogue._entry(item, "diffusers"),
        "header": lambda: read_header(weights),
    }[what]
    look()  # what a daemon reads once in its life, such as entry points
    no_handles()
    with pytest.raises(VelaturaError) as refused:
        look()
    assert (refused.value.code, refused.value.retryable) == ("unavailable", True)
