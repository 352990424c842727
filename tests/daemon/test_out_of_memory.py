"""Memory that runs out during an edit: what is given back, so that the next edit has it."""

from __future__ import annotations

import errno
import weakref

import pytest
import torch

from tests.methods.requests import Edit, Recorded, picture
from tests.tiny import register_tiny_model
from velatura.daemon.worker.runner import IN_MEMORY, Runner
from velatura.models.families.sd import StableDiffusion
from velatura.weights import memory
from velatura.weights.out_of_memory import as_velatura_error, is_out_of_memory

ALLOCATORS = {
    "of a device": lambda: torch.OutOfMemoryError("CUDA out of memory."),
    "of python": MemoryError,
    "of torch on Linux": lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes."),
    "of torch on Windows": lambda: RuntimeError("DefaultCPUAllocator: not enough memory: 9 bytes."),
    "of a file": lambda: OSError(errno.ENOMEM, "Cannot allocate memory"),
}


@pytest.fixture
def runner(tmp_path, tiny_folder):
    register_tiny_model(tmp_path, tiny_folder)
    return Runner(tmp_path, "cpu")


@pytest.fixture
def failing(monkeypatch):
    """failing(error): every pass of the network raises what `error` makes; failing(None): none does."""
    network = StableDiffusion.network

    def fails(error):
        def never(self, x, *args, **more):
            raise error()

        monkeypatch.setattr(StableDiffusion, "network", network if error is None else never)

    return fails


def run(runner):
    parameters = {"source_prompt": "a red hat", "steps": 4}
    edit = Edit(picture(), method="prompt-to-prompt", prompt="a blue hat", parameters=parameters)
    for data in edit.blobs.values():
        runner._spool.put(data)
    return runner.run("job", edit.request, Recorded())


@pytest.mark.parametrize("error", ALLOCATORS.values(), ids=list(ALLOCATORS))
def test_model_and_memory_are_given_back_and_the_retry_has_them(runner, failing, error):
    assert run(runner)["state"] == "done"
    assert runner._cache.nbytes > 0
    model = weakref.ref(runner._models.get())
    failing(error)
    failed = run(runner)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "out-of-memory")
    assert failed["error"]["retryable"] and failed["loaded"] == []
    assert runner._cache.nbytes == 0
    assert model() is None, "something holds the model"
    failing(None)
    assert run(runner)["state"] == "done"


def test_a_fault_gives_nothing_back(runner, failing):
    run(runner)
    held = runner._cache.nbytes
    failing(lambda: RuntimeError("a fault"))
    failed = run(runner)
    assert (failed["error"]["code"], failed["loaded"]) == ("internal", ["tiny"])
    assert runner._cache.nbytes == held > 0


@pytest.mark.parametrize("error", ALLOCATORS.values(), ids=list(ALLOCATORS))
def test_it_is_known_in_whatever_form(error):
    assert is_out_of_memory(error())
    assert is_out_of_memory(as_velatura_error(error()))
    assert not is_out_of_memory(ValueError(str(error())))


def test_the_cache_takes_an_eighth_of_a_small_devices_memory(tmp_path, monkeypatch):
    for free, budget in ((2**30, 2**27), (2**40, IN_MEMORY), (None, IN_MEMORY)):
        monkeypatch.setattr(memory, "free", lambda device, free=free: free)
        assert Runner(tmp_path, "cpu")._cache.largest == budget * 4 // 5
