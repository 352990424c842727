"""Words in what other text encoders read: T5 has no start mark, Qwen has a template, SD3 has two encoders."""

from __future__ import annotations

import re

import torch

from velatura.diffusion.network import Tokenized
from velatura.prompt_to_prompt.align import align, changed
from velatura.prompt_to_prompt.prompt import content, find, indices, tokens

ENDS = {"t5": ([], [1]), "template": ([7, 8, 9], [4, 5, 7, 5])}


def read(prompt, kind, room):
    """Each word with the space before it as one token, a long word as two; room: 0 for no padding."""
    before, behind = ENDS[kind]
    pieces = [m.span() for m in re.finditer(r"\s?\w{1,5}", prompt)]
    ids = [*before, *(100 + sum(map(ord, prompt[a:b])) for a, b in pieces), *behind]
    offsets = [(0, 0)] * len(before) + pieces + [(0, 0)] * len(behind)
    padding = max(0, room - len(ids))
    inside = range(len(before), len(before) + len(pieces))
    return Tokenized(ids + [0] * padding, offsets + [(0, 0)] * padding, inside)


def aligned(kind, source, target, room):
    s, t = (tokens(read(prompt, kind, room), prompt) for prompt in (source, target))
    return s, t, align(source, s, target, t)


def test_t5_has_no_start_mark_and_its_spaces_belong_to_no_word():
    s, _, found = aligned("t5", "a red cat", "a large red cat", 9)
    assert (
        s.spans[:3] == [(0, 1), (2, 5), (6, 9)]
        and list(s.marks) == [3]
        and list(s.padding) == [4, 5, 6, 7, 8]
    )
    assert found.inserted == [(2, 7)]
    A = torch.zeros(9, 9)
    A[0, 0] = A[1, 2] = A[2, 3] = A[3, 4] = 1.0  # the words, the end mark
    A[5:, 5:] = torch.eye(4)
    A[4, 5] = 1.0  # surplus padding
    assert torch.equal(found.A, A)


def test_a_template_keeps_its_places_with_padding_and_without():
    for room in (0, 16):
        s, _, found = aligned("template", "a red cat", "a large red cat", room)
        assert content(s) == [3, 4, 5] and found.inserted == [(2, 7)]
        assert torch.equal(found.A[:3, :3], torch.eye(3))
        assert torch.equal(found.A[6:10, 7:11], torch.eye(4))  # its end
        assert found.alpha[:4].all() and not found.alpha[4]
        assert torch.equal(found.A.sum(1), torch.ones(s.length))


def test_both_encoders_of_a_model_find_the_words():
    def both(prompt):
        return tokens(read(prompt, "template", 12)._replace(further=(read(prompt, "t5", 8),)), prompt)

    source, target = "a red cat", "a red elephant"
    s, t = both(source), both(target)
    assert (s.length, t.length) == (20, 20)
    place = find(target, "elephant")
    assert indices(t, (place.start, place.end)) == [5, 6, 14, 15]
    assert content(s) == [3, 4, 5, 12, 13, 14]
    found = align(source, s, target, t)
    assert found.replaced == [((6, 9), (6, 14))] and changed(found)
    assert not found.A[:12, 12:].any() and not found.A[12:, :12].any()
    assert found.A[5, [5, 6]].tolist() == found.A[14, [14, 15]].tolist() == [0.5, 0.5]
    same = align(source, s, source, s)
    assert not changed(same) and torch.equal(same.A, torch.eye(20)) and same.alpha.all()
