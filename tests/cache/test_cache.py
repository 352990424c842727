"""What is kept between edits: made once, found again, evicted, begun and gone on with, restarts."""

import os
from contextlib import suppress

import pytest
import torch

from tests.cache.kept import cache, found, put, same, trajectory
from velatura.cache.cache import LEAST, Cache
from velatura.cache.values import nbytes
from velatura.diffusion.condition import Condition
from velatura.inversion.trajectory import Trajectory

KiB = 1024


def made(kept, key, value, **more):
    """What is kept under a key, and whether it had to be made."""
    calls = []
    return kept.kept(key, lambda _: calls.append(key) or value, **more), bool(calls)


def test_it_is_made_once_and_is_itself():
    kept, value = cache(), {"q": torch.zeros(3)}
    assert made(kept, "k", value) == (value, True)
    again, was_made = made(kept, "k", None)
    assert again is value and not was_made
    assert made(kept, "other", value)[1]


def test_without_any_budget_it_is_made_every_time():
    kept = Cache()
    assert [made(kept, "k", trajectory(), on_disk=True)[1] for _ in range(2)] == [True, True]
    assert kept.nbytes == 0


class TestFolder:
    def test_a_value_outlives_the_process(self, tmp_path):
        put(cache(tmp_path / "new" / "folder"), "k", trajectory())
        assert same(found(cache(tmp_path / "new" / "folder"), "k"), trajectory())
        assert found(cache(tmp_path / "new" / "folder"), "other") is None

    def test_what_is_not_worth_the_disk_is_not_there(self, tmp_path):
        cache(tmp_path).kept("k", lambda _: trajectory())
        assert list(tmp_path.iterdir()) == []

    def test_one_that_has_grown_is_kept_as_it_is_then(self, tmp_path):
        kept, it = cache(tmp_path), trajectory()
        put(kept, "k", it)
        it.x.append(torch.zeros(2, 1, 128, 1))
        kept.keep("k", it, on_disk=True)
        assert found(kept, "k") is it
        assert found(cache(tmp_path), "k").x[2].shape == (2, 1, 128, 1)

    def test_one_read_from_the_folder_is_brought_to_the_device_and_kept_there(self, tmp_path):
        put(cache(tmp_path), "k", trajectory())
        again = cache(tmp_path)
        it = found(again, "k", device="meta")
        assert it.x[0].device.type == "meta"
        assert found(again, "k") is it

    def test_views_of_one_batch_and_repeated_embeddings_are_written_once(self, tmp_path):
        rows, c = torch.randn(6, 4, 8, 8).chunk(3), Condition(torch.randn(1, 7, 16))
        it = Trajectory([2.0, 1.0, 0.0], list(rows), [rows[0], rows[1]], 0.0, [c, c])
        put(cache(tmp_path), "k", it)
        assert same(found(cache(tmp_path), "k"), it)
        (file,) = tmp_path.iterdir()
        assert file.stat().st_size < nbytes(it) + c.states.nbytes + 2048

    def test_one_that_memory_has_no_room_for_is_read_again(self, tmp_path):
        kept = cache(tmp_path, memory=nbytes(trajectory()) * 2)
        for i in range(3):
            put(kept, str(i), trajectory(i))
        it = found(kept, "0")
        assert same(it, trajectory(0))
        assert found(kept, "0") is it

    def test_the_least_recently_used_leaves_the_folder(self, tmp_path):
        put(cache(tmp_path), "0", trajectory(0))
        size = next(tmp_path.iterdir()).stat().st_size
        kept = cache(tmp_path, disk=3 * size)
        for i in (1, 2):
            put(kept, str(i), trajectory(i))
        again = cache(tmp_path, disk=3 * size)
        found(again, "0")
        put(again, "3", trajectory(3))
        there = [found(cache(tmp_path), str(i)) is not None for i in range(4)]
        assert there == [True, False, True, True]

    def test_one_larger_than_the_budgets_pushes_none_out(self, tmp_path):
        put(cache(tmp_path), "0", trajectory(0))
        size = next(tmp_path.iterdir()).stat().st_size
        kept = cache(tmp_path, memory=8 * KiB, disk=2 * size)
        it = found(kept, "0")
        put(kept, "1", trajectory(1, values=4096))
        assert found(kept, "1") is None
        assert found(kept, "0") is it
        assert found(cache(tmp_path), "0") is not None

    def test_a_budget_that_was_lowered_holds_from_the_start(self, tmp_path):
        for i in range(3):
            put(cache(tmp_path), str(i), trajectory(i))
        size = next(tmp_path.iterdir()).stat().st_size
        kept = cache(tmp_path, disk=size)
        assert len(list(tmp_path.iterdir())) == 1
        assert found(kept, "2") is not None

    def test_giving_memory_back_leaves_the_folder(self, tmp_path):
        kept, it = cache(tmp_path), trajectory()
        put(kept, "k", it)
        made(kept, "f", {"q": torch.zeros(3)})
        kept.release()
        assert kept.nbytes == 0
        assert made(kept, "f", {})[1]
        assert found(kept, "k") is not it
        assert same(found(kept, "k"), it)

    def test_clearing_leaves_nothing(self, tmp_path):
        kept = cache(tmp_path)
        put(kept, "k", trajectory())
        made(kept, "f", {"q": torch.zeros(3)})
        kept.clear()
        assert found(kept, "k") is None
        assert made(kept, "f", {})[1]
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
    def test_others_cannot_look_at_it(self, tmp_path):
        put(cache(tmp_path / "folder"), "k", trajectory())
        assert (tmp_path / "folder").stat().st_mode & 0o077 == 0


class TestMemory:
    def test_what_is_larger_than_the_largest_is_not_kept_and_pushes_nothing_out(self):
        kept = cache(memory=10 * KiB)
        small, _ = made(kept, "small", {"q": torch.zeros(5)})
        made(kept, "large", {"q": torch.zeros(kept.largest // 4 + 1)})
        assert made(kept, "large", None)[1]
        assert made(kept, "small", None) == (small, False)
        made(kept, "largest", {"q": torch.zeros(kept.largest // 4)})
        assert not made(kept, "largest", None)[1]
        assert not made(kept, "small", None)[1], "what the largest belongs to stays beside it"

    def test_the_least_recently_used_goes(self):
        kept = cache(memory=5 * KiB)
        for name in "abc":
            made(kept, name, torch.zeros(2 * KiB // 4))
            made(kept, "a", None)
        assert [kept.kept(name, lambda _: None) is None for name in "ab"] == [False, True]

    def test_growing_counts(self):
        kept = cache(memory=5 * KiB)
        grown = {name: made(kept, name, {0: torch.zeros(KiB // 2)})[0] for name in "ab"}
        grown["b"][1] = torch.zeros(KiB // 2)
        kept.keep("b", grown["b"])
        assert made(kept, "b", None) == (grown["b"], False)
        assert made(kept, "a", {})[1]

    def test_room_is_made_before_a_value_grows(self):
        kept = cache(memory=5 * KiB)
        for name in "abc":
            made(kept, name, torch.zeros(KiB // 4))
        kept.make_room("c", 4 * KiB)
        assert [made(kept, name, {})[1] for name in "bca"] == [False, False, True]

    def test_values_without_tensors_count_too(self):
        kept = cache(memory=10 * LEAST)
        for i in range(20):
            made(kept, str(i), {"curve": (0.0, float(i))})
        assert sum(not made(kept, str(i), None)[1] for i in range(10, 20)) == 10
        assert made(kept, "0", {})[1]


class Stop(Exception):
    pass


def fit(begun, stop=None):
    """A making of five steps, each of which takes the one before; stopped before step `stop`."""
    for i in range(len(begun), 5):
        if i == stop:
            raise Stop
        begun.append(torch.full((2,), float(i)) + (begun[-1] if begun else 0.0))
    return begun[-1]


def tried(kept, stop, **more):
    """How much was done when the making began, and what it made; None if it was stopped."""
    done = []

    def make(begun):
        done.append(len(begun))
        return fit(begun, stop=stop)

    with suppress(Stop):
        return done, kept.kept("k", make, **more)
    return done, None


class TestBegun:
    def test_a_making_that_was_stopped_goes_on(self):
        kept = cache()
        assert [tried(kept, stop) for stop in (2, 2, 4)] == [([0], None), ([2], None), ([2], None)]
        done, value = tried(kept, None)
        assert done == [4] and value.equal(fit([]))
        assert tried(kept, None) == ([], value)

    def test_so_it_does_in_another_process(self, tmp_path):
        assert tried(cache(tmp_path), 3, on_disk=True) == ([0], None)
        done, value = tried(cache(tmp_path), None, on_disk=True)
        assert done == [3] and value.equal(fit([]))
        assert len(list(tmp_path.iterdir())) == 1, "what was begun is not needed any more"

    def test_what_was_begun_is_no_value_and_stays_off_the_disk_where_that_does_not_pay(self, tmp_path):
        kept = cache(tmp_path)
        tried(kept, 3)
        assert list(tmp_path.iterdir()) == []
        assert found(kept, "k") is None

    def test_where_nothing_is_kept_it_begins_anew(self):
        kept = Cache()
        assert [tried(kept, stop)[0] for stop in (3, None)] == [[0], [0]]
