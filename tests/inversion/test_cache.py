"""What is kept between edits: names by content, both shelves, restarts."""

import os
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
import torch

from tests.inversion.kept import memory, same, trajectory
from velatura.diffusion.condition import Condition
from velatura.inversion.cache import key, nbytes
from velatura.inversion.trajectory import Trajectory
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import is_digest


class TestNames:
    def test_equal_content_has_one_name_whatever_the_order(self):
        a, b = torch.arange(6.0).reshape(2, 3), torch.arange(6.0).reshape(2, 3)
        assert key(z=a, prompt="a hat", seeds=[1]) == key(seeds=[1], prompt="a hat", z=b)
        assert is_digest(key(z=a))

    @pytest.mark.parametrize(
        "other",
        [
            torch.arange(6.0).reshape(3, 2),
            torch.arange(6.0).reshape(2, 3).double(),
            torch.arange(6.0).reshape(2, 3) + 1e-6,
            [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
            None,
        ],
        ids=["shape", "dtype", "values", "a list", "none"],
    )
    def test_other_content_has_another(self, other):
        x = torch.arange(6.0).reshape(2, 3)
        assert key(z=x) != key(z=other)
        assert key(given=[x, {"c": x}]) != key(given=[x, {"c": other}])

    def test_the_layout_in_memory_is_no_content(self):
        x = torch.randn(2, 3, 4, 5)
        assert key(x=x) == key(x=x.to(memory_format=torch.channels_last)) == key(x=x.flip(0).flip(0))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.bool, torch.int64])
    def test_tensors_of_every_kind_have_names(self, dtype):
        assert key(x=torch.ones((), dtype=dtype)) != key(x=torch.zeros((), dtype=dtype))
        assert key(x=torch.ones(0, 3, dtype=dtype)) != key(x=torch.ones(3, 0, dtype=dtype))

    def test_what_is_no_content_is_refused(self):
        with pytest.raises(VelaturaError, match="could not be written"):
            key(x=object())


class TestTrajectories:
    def test_one_outlives_the_process(self, tmp_path):
        memory(tmp_path / "new" / "folder").keep_trajectory("k", trajectory())
        assert same(memory(tmp_path / "new" / "folder").trajectory("k"), trajectory())
        assert memory(tmp_path / "new" / "folder").trajectory("other") is None

    def test_it_is_itself_and_not_a_copy_while_in_memory(self, tmp_path):
        kept, it = memory(tmp_path), trajectory()
        kept.keep_trajectory("k", it)
        assert kept.trajectory("k") is it
        it.x[1] = torch.zeros(2, 1, 128, 1)
        kept.keep_trajectory("k", it)
        assert memory(tmp_path).trajectory("k").x[1].shape == (2, 1, 128, 1)

    def test_one_read_from_the_folder_is_brought_to_the_device_and_kept_there(self, tmp_path):
        memory(tmp_path).keep_trajectory("k", trajectory())
        again = memory(tmp_path)
        found = again.trajectory("k", device="meta")
        assert found.x[0].device.type == "meta"
        assert again.trajectory("k", device="cpu") is found

    def test_views_of_one_batch_and_repeated_embeddings_are_kept(self, tmp_path):
        rows, c = torch.randn(6, 4, 8, 8).chunk(3), torch.randn(1, 7, 16)
        it = Trajectory([2.0, 1.0, 0.0], list(rows), [rows[0], rows[1]], 0.0, [Condition(c)] * 2)
        memory(tmp_path).keep_trajectory("k", it)
        assert same(memory(tmp_path).trajectory("k"), it)
        (file,) = tmp_path.iterdir()
        assert file.stat().st_size < nbytes(it) + c.nbytes + 2048

    def test_without_a_folder_it_lives_in_memory(self):
        kept, it = memory(None), trajectory()
        kept.keep_trajectory("k", it)
        assert kept.trajectory("k") is it
        kept.clear()
        assert kept.trajectory("k") is None

    def test_one_that_memory_has_no_room_for_is_read_again(self, tmp_path):
        kept = memory(tmp_path, trajectories=nbytes(trajectory()) * 2)
        for i in range(3):
            kept.keep_trajectory(str(i), trajectory(i))
        it = kept.trajectory("0")
        assert same(it, trajectory(0))
        assert kept.trajectory("0") is it

    def test_the_least_recently_used_leaves_the_folder(self, tmp_path):
        memory(tmp_path).keep_trajectory("0", trajectory(0))
        size = next(tmp_path.iterdir()).stat().st_size
        kept = memory(tmp_path, disk=3 * size)
        for i in (1, 2):
            kept.keep_trajectory(str(i), trajectory(i))
        again = memory(tmp_path, disk=3 * size)
        again.trajectory("0")
        again.keep_trajectory("3", trajectory(3))
        assert [memory(tmp_path).trajectory(str(i)) is not None for i in range(4)] == [
            True,
            False,
            True,
            True,
        ]

    def test_one_larger_than_the_budget_pushes_none_out(self, tmp_path):
        memory(tmp_path).keep_trajectory("0", trajectory(0))
        size = next(tmp_path.iterdir()).stat().st_size
        kept = memory(tmp_path, trajectories=2 * size, disk=2 * size)
        it = kept.trajectory("0")
        kept.keep_trajectory("1", trajectory(1, values=4096))
        assert kept.trajectory("1") is None
        assert kept.trajectory("0") is it
        assert memory(tmp_path).trajectory("0") is not None

    def test_a_budget_that_was_lowered_holds_from_the_start(self, tmp_path):
        for i in range(3):
            memory(tmp_path).keep_trajectory(str(i), trajectory(i))
        size = next(tmp_path.iterdir()).stat().st_size
        kept = memory(tmp_path, disk=size)
        assert len(list(tmp_path.iterdir())) == 1
        assert kept.trajectory("2") is not None

    def test_giving_memory_back_leaves_the_folder(self, tmp_path):
        kept, it = memory(tmp_path), trajectory()
        kept.keep_trajectory("k", it)
        kept.features("f")["q"] = torch.zeros(3)
        kept.settle("f")
        kept.release()
        assert kept.features("f") == {}
        assert kept.trajectory("k") is not it
        assert same(kept.trajectory("k"), it)

    def test_clearing_leaves_nothing(self, tmp_path):
        kept = memory(tmp_path)
        kept.keep_trajectory("k", trajectory())
        kept.features("f")["q"] = torch.zeros(3)
        kept.settle("f")
        kept.clear()
        assert kept.trajectory("k") is None
        assert kept.features("f") == {}
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
    def test_others_cannot_look_at_it(self, tmp_path):
        memory(tmp_path / "folder").keep_trajectory("k", trajectory())
        assert (tmp_path / "folder").stat().st_mode & 0o077 == 0


class Branch(NamedTuple):
    q: torch.Tensor
    v: torch.Tensor | None


@dataclass
class Recorded:
    branches: dict = field(default_factory=dict)
    steps: int = 0


class TestFeatures:
    def test_they_are_recorded_in_place_and_found_again(self):
        kept = memory(None)
        recorded = kept.features("k")
        recorded[0, "attn1"] = torch.zeros(8)
        kept.settle("k")
        assert kept.features("k") is recorded

    def test_what_is_larger_than_the_budget_is_not_kept_and_pushes_nothing_out(self):
        kept = memory(None, features=100)
        kept.features("small")["q"] = small = torch.zeros(5)
        kept.settle("small")
        kept.features("large")["q"] = torch.zeros(kept.feature_budget // 4 + 1)
        kept.settle("large")
        assert kept.features("large") == {}
        assert kept.features("small")["q"] is small

    def test_the_least_recently_used_goes(self):
        kept = memory(None, features=100)
        for name in "abc":
            kept.features(name)["q"] = torch.zeros(10)
            kept.settle(name)
            kept.features("a")
        assert [bool(kept.features(name)) for name in "abc"] == [True, False, True]

    def test_growing_counts(self):
        kept = memory(None, features=100)
        for name in "ab":
            kept.features(name)[0] = torch.zeros(8)
            kept.settle(name)
        kept.features("b")[1] = torch.zeros(16)
        kept.settle("b")
        assert kept.features("a") == {}
        assert len(kept.features("b")) == 2

    def test_dataclasses_and_tuples_count_as_what_they_hold(self):
        q = torch.zeros(10, 10)
        held = Recorded({(0, "a"): Branch(q, None), (1, "a"): Branch(q[:1], torch.zeros(3))}, steps=2)
        assert nbytes(held) == 400 + 12
        kept = memory(None, features=411)
        assert isinstance(kept.features("k", Recorded), Recorded)
        kept.features("k", Recorded).branches.update(held.branches)
        kept.settle("k")
        assert kept.features("k", Recorded).branches == {}

    def test_settling_what_is_not_there_is_nothing(self):
        memory(None).settle("k")
