"""Conditions: rows are put together and taken apart without losing what a family needs beside text."""

import pytest
import torch

from velatura.diffusion.condition import Condition, cat


def told(seed, length=5, rows=1, valid=False):
    drawn = torch.Generator().manual_seed(seed)
    return Condition(
        torch.randn(rows, length, 3, generator=drawn),
        torch.arange(length).expand(rows, -1) < length - 1 if valid else None,
        {
            "pooled": torch.randn(rows, 4, generator=drawn),
            "channels": torch.randn(rows, 2, 3, 3, generator=drawn),
        },
    )


@pytest.mark.parametrize("valid", [False, True])
def test_what_is_put_together_comes_apart_again(valid):
    rows = [told(seed, valid=valid) for seed in range(3)]
    together = cat(rows)
    assert len(together) == 3 and together.parts["channels"].shape == (3, 2, 3, 3)
    for part, row in zip(together.split(1), rows, strict=True):
        assert part.equal(row)
    assert [len(part) for part in together.split(2)] == [2, 1]


def test_an_expanded_row_takes_no_memory():
    row = told(1)
    many = row.expand(4)
    assert len(many) == 4 and many.states.data_ptr() == row.states.data_ptr()
    assert all(part.equal(row) for part in many.split(1))


def test_shorter_prompts_are_padded_with_tokens_that_do_not_count():
    short, long = told(1, length=3), told(2, length=5)
    together = cat([short, long])
    assert together.states.shape == (2, 5, 3)
    assert together.valid.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert torch.equal(together.states[0, :3], short.states[0]) and not together.states[0, 3:].any()


def test_conditions_of_two_networks_are_not_mixed():
    with pytest.raises(ValueError, match="different parts"):
        cat([told(1), Condition(torch.zeros(1, 5, 3))])


@pytest.mark.parametrize("part", ["states", "valid", "pooled"])
def test_equal_conditions_are_equal_in_every_part(part):
    one, other = told(1, valid=True), told(1, valid=True)
    assert one.equal(other)
    changed = other.parts[part] if part == "pooled" else getattr(other, part)
    changed[0, 0] = 0
    assert not one.equal(other)
    assert not one.equal(Condition(one.states))


def test_other_states_leave_the_rest_alone_and_a_clone_shares_nothing():
    one = told(1)
    other = one.with_states(one.states + 1.0)
    assert other.parts is one.parts and not other.equal(one)
    clone = one.clone()
    assert clone.equal(one) and clone.parts["pooled"].data_ptr() != one.parts["pooled"].data_ptr()
    assert {x.device.type for x in (one.to("meta").states, *one.to("meta").parts.values())} == {"meta"}
