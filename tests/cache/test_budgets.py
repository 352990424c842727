"""Whatever is kept, read and forgotten in whatever order: budgets hold, and the least recently used goes."""

import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.cache.kept import found
from velatura.cache.cache import LEAST, Cache
from velatura.cache.values import nbytes
from velatura.inversion.trajectory import Trajectory

BUDGET = 5 * LEAST  # bytes in memory
HEAD = 600  # bytes about, that a file has besides its tensors
DISK = 12_000

keys = st.sampled_from("abcdef")
floats = st.integers(1, 1500)  # 4 bytes each; some alone are too many


def trajectory(n):
    return Trajectory([1.0, 0.0], [torch.full((1, 1, n, 1), float(n))])


class Memory:
    """Least recently used first, by the book."""

    def __init__(self, budget):
        self.budget, self.sizes = budget, OrderedDict()

    def used(self, key):
        if key in self.sizes:
            self.sizes.move_to_end(key)

    def put(self, key, size):
        size = max(size, LEAST)
        self.sizes.pop(key, None)
        if size <= self.budget * 4 // 5:
            self.sizes[key] = size
            while sum(self.sizes.values()) > self.budget:
                self.sizes.popitem(last=False)


class Budgets(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name) / "kept"
        self.start()

    def start(self):
        self.cache = Cache(self.folder, memory=BUDGET, disk=DISK)
        self.memory = Memory(BUDGET)
        self.last = None

    def teardown(self):
        self.temporary.cleanup()

    @rule(key=keys, n=floats)
    def keep(self, key, n):
        self.cache.keep(key, trajectory(n), on_disk=True)
        self.memory.put(key, 4 * n)
        self.last = key, n

    @rule(key=keys)
    def read(self, key):
        value = found(self.cache, key)
        if key in self.memory.sizes:
            assert max(nbytes(value), LEAST) == self.memory.sizes[key]
            self.memory.used(key)
        elif value is not None:
            self.memory.put(key, nbytes(value))

    @rule(key=keys, n=floats)
    def grow(self, key, n):
        """A value of memory alone, with more tensors each time it is used."""
        key = f"grown {key}"
        value = self.cache.kept(key, lambda _: {})
        assert bool(value) == (key in self.memory.sizes)
        if not value:
            self.memory.put(key, 0)
        value[len(value)] = torch.zeros(n)
        self.cache.keep(key, value)
        self.memory.put(key, nbytes(value))

    @rule()
    def restart(self):
        """Memory is gone, and the last that was kept is still there."""
        last = self.last
        self.start()
        if last is not None:
            key, n = last
            assert nbytes(found(self.cache, key)) == 4 * n
            self.memory.put(key, 4 * n)
            self.last = last

    @rule()
    def clear(self):
        self.cache.clear()
        self.start()
        assert list(self.folder.iterdir()) == []

    @invariant()
    def both_budgets_hold(self):
        assert self.cache.nbytes <= BUDGET
        sizes = [path.stat().st_size for path in self.folder.iterdir()]
        assert sum(sizes) <= DISK
        assert len(sizes) <= DISK // HEAD


Budgets.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestBudgets = Budgets.TestCase
