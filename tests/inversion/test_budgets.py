"""Whatever is kept, read and forgotten in whatever order: budgets hold, and the least recently used goes."""

import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from velatura.inversion.cache import Memory, nbytes
from velatura.inversion.trajectory import Trajectory

BUDGET = 1000  # bytes of each shelf in memory
HEAD = 600  # bytes about, that a file has besides its tensors
DISK = 5000

keys = st.sampled_from("abcdef")
floats = st.integers(1, 300)  # 4 bytes each; some alone are too many


def trajectory(n):
    return Trajectory([1.0, 0.0], [torch.full((1, 1, n, 1), float(n)), None])


class Shelf:
    """Least recently used first, by the book."""

    def __init__(self, budget):
        self.budget, self.sizes = budget, OrderedDict()

    def used(self, key):
        if key in self.sizes:
            self.sizes.move_to_end(key)

    def put(self, key, size):
        self.sizes.pop(key, None)
        if size <= self.budget:
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
        self.memory = Memory(self.folder, trajectories=BUDGET, features=BUDGET, disk=DISK)
        self.trajectories, self.features = Shelf(BUDGET), Shelf(BUDGET)
        self.last = None

    def teardown(self):
        self.temporary.cleanup()

    @rule(key=keys, n=floats)
    def keep(self, key, n):
        self.memory.keep_trajectory(key, trajectory(n))
        self.trajectories.put(key, 4 * n)
        self.last = key, n

    @rule(key=keys)
    def read(self, key):
        found = self.memory.trajectory(key)
        if key in self.trajectories.sizes:
            assert nbytes(found) == self.trajectories.sizes[key]
            self.trajectories.used(key)
        elif found is not None:
            self.trajectories.put(key, nbytes(found))

    @rule(key=keys, n=floats)
    def record(self, key, n):
        held = self.memory.features(key)
        assert (key in self.features.sizes) == bool(held)
        held[len(held)] = torch.zeros(n)
        self.memory.settle(key)
        self.features.put(key, self.features.sizes.get(key, 0) + 4 * n)

    @rule(key=keys)
    def use(self, key):
        if self.features.sizes.get(key):
            assert nbytes(self.memory.features(key)) == self.features.sizes[key]
            self.features.used(key)

    @rule()
    def restart(self):
        """Memory is gone, and the last that was kept is still there."""
        last = self.last
        self.start()
        if last is not None:
            key, n = last
            assert nbytes(self.memory.trajectory(key)) == 4 * n
            self.trajectories.put(key, 4 * n)
            self.last = last

    @rule()
    def clear(self):
        self.memory.clear()
        self.start()
        assert list(self.folder.iterdir()) == []

    @invariant()
    def the_folder_is_within_its_budget(self):
        sizes = [path.stat().st_size for path in self.folder.iterdir()]
        assert sum(sizes) <= DISK
        assert len(sizes) <= DISK // HEAD


Budgets.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestBudgets = Budgets.TestCase
