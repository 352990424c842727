"""The memory that there is, and its release."""

import torch

from velatura.weights import memory


def test_a_processors_free_memory_is_that_of_the_machine_and_within_a_containers_bound(tmp_path, monkeypatch):
    whole = memory.free("cpu")
    assert whole is not None and 2**20 < whole < 2**50
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    assert memory.free("cpu") == 600_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free("cpu") > 2**20


def test_memory_is_given_back_to_the_device_that_had_it(monkeypatch):
    emptied = []
    for kind in ("cuda", "xpu", "mps"):
        monkeypatch.setattr(getattr(torch, kind), "empty_cache", lambda kind=kind: emptied.append(kind))
    for device in ("cuda:0", "xpu:0", "mps", "cpu"):
        memory.give_back(device)
    assert emptied == ["cuda", "xpu", "mps"]
