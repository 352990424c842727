"""Which tokens of one prompt stand for which of another.

Hertz et al. 2022, section 3.2: in a word swap the new word takes the old one's maps, in a refinement the
words that both prompts have keep theirs. Both methods begin with the words that the prompts have in common.
The published code pairs the tokens of a swap by position. Here tokens are paired by word, so that a change of
a prompt's length shifts neither the words behind it nor the padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from .prompt import Span, Tokens, words

_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Alignment:
    """The words of a target prompt, paired with those of a source prompt.

    All words are spans of characters, from left to right; no two that one text encoder finds in one prompt
    overlap.

    Args:
        A: the token mapper [T_s, T_t] float32: M_s A are the source's maps as the target's tokens take them.
            Each row sums to 1 (the whole map of a source token is handed on) or to 0.
        alpha: [T_t] float32: 1 for tokens that take maps, 0 for tokens that have only their own.
        replaced: pairs of source words and the target words in their place.
        inserted: words that only the target has.
        deleted: words that only the source has.
    """

    A: Tensor
    alpha: Tensor
    replaced: list[tuple[Span, Span]]
    inserted: list[Span]
    deleted: list[Span]


def changed(alignment: Alignment) -> bool:
    """Whether the text encoder reads the two prompts differently."""
    return bool(alignment.replaced or alignment.inserted or alignment.deleted)


def align(
    source: str,
    source_tokens: Tokens,
    target: str,
    target_tokens: Tokens,
    replaced: Literal["swap", "refine"] = "swap",
) -> Alignment:
    """Aligns two prompts, each with its tokens.

    Words that both prompts have keep their maps. A word that replaces one word takes that word's maps: if
    both have n tokens, each token takes the map of one token; if the new word has m tokens and the old one
    another number, each new token takes the sum of the old maps divided by m. If the number of words changes,
    the new words together take the old words' maps in the same way. With 'refine', words that replace others
    have only their own maps, as inserted words have.

    Each text encoder's tokens are aligned with that encoder's tokens of the other prompt.
    """
    parts = [
        _aligned(source, s, target, t, replaced)
        for s, t in zip(source_tokens.parts, target_tokens.parts, strict=True)
    ]
    return Alignment(
        torch.block_diag(*(part.A for part in parts)),
        torch.cat([part.alpha for part in parts]),
        _distinct(pair for part in parts for pair in part.replaced),
        _distinct(span for part in parts for span in part.inserted),
        _distinct(span for part in parts for span in part.deleted),
    )


def _distinct(found: Iterable[_Found]) -> list[_Found]:
    """Each once: most encoders find the same. One that minds capitals may find more."""
    return list(dict.fromkeys(found))


def _aligned(
    source: str,
    source_tokens: Tokens,
    target: str,
    target_tokens: Tokens,
    replaced: Literal["swap", "refine"],
) -> Alignment:
    """As `align`, for one text encoder."""
    s, t = _units(source, source_tokens), _units(target, target_tokens)
    A = _marks_and_padding(source_tokens, target_tokens)
    pairs: list[tuple[Span, Span]] = []
    inserted: list[Span] = []
    deleted: list[Span] = []
    for common, gap_s, gap_t in _stretches(s, t):
        if common:
            _hand_on(A, gap_s, gap_t)
            continue
        for run_s, run_t in _replacements(gap_s, gap_t):
            if run_s and run_t:
                pairs.append((_span(run_s), _span(run_t)))
                if replaced == "swap":
                    _hand_on(A, run_s, run_t)
            elif run_t:
                inserted.append(_span(run_t))
            else:
                deleted.append(_span(run_s))
    return Alignment(A, (A.sum(0) > 0.0).float(), pairs, inserted, deleted)


class _Unit(NamedTuple):
    """A unit of comparison: a word with all its tokens, or a token or character between words.

    Two units are equal if their token `ids` are. CLIP ignores capitals, but does not read "ß" as "ss".
    """

    start: int
    end: int
    is_word: bool
    tokens: range
    ids: tuple[int, ...] = ()


def _units(prompt: str, tokens: Tokens) -> list[_Unit]:
    """All content tokens in groups; tokens that share a word or a character are in one group."""
    there = words(prompt)
    units: list[_Unit] = []
    for i in tokens.content:
        start, end = tokens.spans[i]
        touched = [word for word in there if word.start < end and start < word.end]
        if touched:
            start, end = min(start, touched[0].start), max(end, touched[-1].end)
        unit = _Unit(start, end, bool(touched), range(i, i + 1))
        if units and start < units[-1].end:
            last = units.pop()
            reach = max(last.end, end)
            unit = _Unit(last.start, reach, last.is_word or unit.is_word, range(last.tokens.start, i + 1))
        units.append(unit)
    return [unit._replace(ids=tuple(tokens.ids[i] for i in unit.tokens)) for unit in units]


_Run = list[_Unit]


def _stretches(s: _Run, t: _Run) -> Iterator[tuple[bool, _Run, _Run]]:
    """Both prompts, cut where common words begin and end: (whether common, source units, target units)."""
    if s and _ids(s) == _ids(t):  # "4 k" and "4k" are different words, but the same tokens
        yield True, s, t
        return
    i = j = 0
    for p, q in [*_common(s, t), (len(s), len(t))]:
        if i < p or j < q:
            yield False, s[i:p], t[j:q]
        if p < len(s):
            yield True, s[p : p + 1], t[q : q + 1]
        i, j = p + 1, q + 1


def _common(s: _Run, t: _Run) -> list[tuple[int, int]]:
    """The pairs of equal units. If the prompts change roles, the pairs are the same, swapped."""
    a, b = ([unit.ids for unit in units] for units in (s, t))
    return _longest(a, b) if a <= b else [(i, j) for j, i in _longest(b, a)]


def _longest(a: list[tuple[int, ...]], b: list[tuple[int, ...]]) -> list[tuple[int, int]]:
    """The longest common subsequence of a and b, as pairs of indices.

    Needleman and Wunsch's alignment with the published scores (match 1, mismatch -1, gap 0) finds the same.
    Among several, the one with the fewest changed places is taken, then the one with the earliest matches: a
    causal text encoder reads everything before the first change exactly as before.
    """
    n, m = len(a), len(b)
    match = n + m + 1  # more than the number of places
    # best[i, j, g]: the score of a[i:] and b[j:], and the next state; g = 1 after a skipped unit.
    # Among equal scores max takes the state that is farther on, a match.
    best: dict[tuple[int, int, int], tuple[int, tuple[int, int, int]]] = {}
    best[n, m, 0] = best[n, m, 1] = 0, (n, m, 0)
    for i, j in ((i, j) for i in range(n, -1, -1) for j in range(m, -1, -1) if i < n or j < m):
        matched = [(i + 1, j + 1, 0)] if i < n and j < m and a[i] == b[j] else []
        skipped = ([(i + 1, j, 1)] if i < n else []) + ([(i, j + 1, 1)] if j < m else [])
        for g in (0, 1):
            ways = [(best[to][0] + match, to) for to in matched]
            best[i, j, g] = max(ways + [(best[to][0] - (1 - g), to) for to in skipped])
    pairs: list[tuple[int, int]] = []
    at = (0, 0, 0)
    while at[:2] != (n, m):
        to = best[at][1]
        if to[2] == 0:
            pairs.append(at[:2])
        at = to
    return pairs


def _replacements(s: _Run, t: _Run) -> Iterator[tuple[_Run, _Run]]:
    """The replaced and replacing units where t stands instead of s, from left to right; either may be empty.

    An equal number of words is paired one by one; otherwise all words are one pair. Punctuation is paired
    inside such a run, where every other unit has a partner of its own kind, or where there is no word.
    """
    alike = [unit.is_word for unit in s] == [unit.is_word for unit in t]
    runs_s, runs_t = _speaking(s, alike), _speaking(t, alike)
    if runs_s and runs_t and len(runs_s) != len(runs_t):
        runs_s, runs_t = ([slice(runs[0].start, runs[-1].stop)] for runs in (runs_s, runs_t))
    i = j = 0
    for p, q in [*zip(runs_s, runs_t, strict=False), (slice(len(s), None), slice(len(t), None))]:
        for run_s, run_t in ((s[i : p.start], []), ([], t[j : q.start]), (s[p], t[q])):
            if run_s or run_t:
                yield run_s, run_t
        i, j = p.stop, q.stop


def _speaking(units: _Run, alike: bool) -> list[slice]:
    """The units that can be paired: the words; all units where there is no word or all are `alike`."""
    chosen = [slice(i, i + 1) for i, unit in enumerate(units) if unit.is_word or alike]
    return chosen or [slice(i, i + 1) for i in range(len(units))]


def _marks_and_padding(source: Tokens, target: Tokens) -> Tensor:
    """A [T_s, T_t] with the rows of all tokens but the content tokens.

    Marks, and the words of a template, are paired one by one. Padding is paired from the end of the window.
    If the source has more padding, its surplus maps go onto the target's first padding token, or onto the
    last mark. If the target has more, its surplus tokens have only their own maps.
    """
    n, m = len(source.ids), len(target.ids)
    A = torch.zeros(n, m)
    before = min(source.content.start, target.content.start)
    A[range(before), range(before)] = 1.0
    for i, j in zip(source.marks, target.marks, strict=False):
        A[i, j] = 1.0
    both = min(len(source.padding), len(target.padding))
    A[n - both :, m - both :] = torch.eye(both)
    onto = [*target.marks[-1:], *target.padding[:1]][-1:]
    A[source.padding.start : n - both, onto] = 1.0
    return A


def _hand_on(A: Tensor, s: _Run, t: _Run) -> None:
    """Sets the rows of A so that the tokens of t take the maps of the tokens of s."""
    rows, columns = (slice(run[0].tokens.start, run[-1].tokens.stop) for run in (s, t))
    block = A[rows, columns]
    n, m = block.shape
    if _ids(s) == _ids(t) or (n == m and len(s) == len(t) == 1):
        block.fill_diagonal_(1.0)
    else:
        block.fill_(1.0 / m)


def _ids(run: _Run) -> list[int]:
    return [id for unit in run for id in unit.ids]


def _span(run: _Run) -> Span:
    return run[0].start, run[-1].end
