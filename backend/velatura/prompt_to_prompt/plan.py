"""Two prompts and the settings of their words, as the tensors of an edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from velatura.diffusion.network import LatentDiffusion
from velatura_protocol.errors import VelaturaError
from velatura_protocol.words import Word

from . import align as alignment
from .control import Control, Words, steps_within
from .local import LocalBlend
from .prompt import Span, Tokens, content, find, find_all, governed, indices, tokens


@dataclass(frozen=True)
class WordSetting:
    """The settings of one place in the target prompt.

    Args:
        text: the words of the place.
        which: the place's number among those with these words, from 1.
        weight: c.
        until: the share of the cross window in which it takes the source's map.
    """

    text: str
    which: int = 1
    weight: float = 1.0
    until: float = 1.0


@dataclass(frozen=True)
class Settings:
    """The settings of an edit. Windows are fractions of the steps, counted from the first.

    A phrase in `blend_words` or `keep_words` is words of a prompt: "cat" means every place with that word;
    "cat:2" means the second one in the target prompt and the source words it comes from, or the second one in
    the source prompt where the target lacks the word.

    Args:
        cross_until: the window of cross-attention.
        self_until, self_share: the window of self-attention, and `Control.self_share`.
        value_until, value_share: the window of values, and `Control.value_share`.
        renormalise: as in `Control`.
        replaced: as in `align`.
        local_blend: whether the edit stays where its words are.
        threshold, blend_start: k of local blend, and the fraction of the steps after which it applies.
        blend_words: the words where the edit stays; empty: the words that change.
        keep_words: the words whose places stay unchanged.
    """

    cross_until: float
    self_until: float
    self_share: float
    value_until: float
    value_share: float
    renormalise: bool
    replaced: Literal["swap", "refine"]
    local_blend: bool
    threshold: float
    blend_start: float
    blend_words: Sequence[str] = ()
    keep_words: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """control, local: for `edit.edit`. changes: whether the target can differ from the source."""

    control: Control
    local: LocalBlend | None
    changes: bool


def plan(
    model: LatentDiffusion, source: str, target: str, words: Sequence[WordSetting], settings: Settings, n: int
) -> Plan:
    """The edit that turns the picture of one prompt into that of another, in n steps.

    Args:
        model: reads the prompts.
        source, target: the prompts.
        words: the settings of words in the target.
        settings: all other settings.
        n: steps.

    Raises:
        VelaturaError: `bad-request` for a word that is not in the prompts; `prompt-too-long`.
    """
    for prompt in (source, target):
        model.check_prompt(prompt)
    pair = _Pair(
        source,
        tokens(model.tokenized(source), source),
        target,
        tokens(model.tokenized(target), target),
    )
    aligned = alignment.align(source, pair.source_tokens, target, pair.target_tokens, settings.replaced)
    weights, windows = torch.ones(pair.target_tokens.length), torch.ones(pair.target_tokens.length)
    weighed: list[Span] = []
    for word in words:
        place = find(target, word.text, word.which)
        here = indices(pair.target_tokens, (place.start, place.end))
        _set(weights, here, word.weight, word.text, "weight")
        _set(windows, here, word.until, word.text, "time to keep its shape")
        if word.weight != 1.0:
            weighed.append((place.start, place.end))
    until = [steps_within(settings.cross_until * window, n) for window in windows.tolist()]
    alpha = aligned.alpha * (torch.arange(n).unsqueeze(-1) < torch.tensor(until))
    control = Control(
        A=aligned.A,
        alpha=alpha,
        weights=weights,
        renormalise=settings.renormalise,
        self_steps=steps_within(settings.self_until, n),
        self_share=settings.self_share,
        value_steps=steps_within(settings.value_until, n),
        value_share=settings.value_share,
    )
    changes = alignment.changed(aligned) or bool(weighed)
    local = None
    if settings.local_blend and changes:
        local = LocalBlend(
            pair.blended(aligned, weighed, settings),
            settings.threshold,
            steps_within(settings.blend_start, n),
        )
    return Plan(control, local, changes)


def _set(values: Tensor, here: list[int], value: float, text: str, what: str) -> None:
    """Sets the values of the tokens `here`; 1 means not set. Entries may overlap, as "blue hat" and "hat" do:
    if one leaves a value at 1, the other may set it. Raises `bad-request` where two entries disagree."""
    if value == 1.0:
        return
    if ((values[here] != 1.0) & (values[here] != value)).any():
        raise VelaturaError(
            "bad-request",
            f"{text!r:.60} is in two entries, each with a {what} of its own; set it in one of them.",
        )
    values[here] = value


@dataclass(frozen=True)
class _Pair:
    """Two prompts with their tokens."""

    source: str
    source_tokens: Tokens
    target: str
    target_tokens: Tokens

    def blended(self, aligned: alignment.Alignment, weighed: Sequence[Span], settings: Settings) -> Words:
        """The two groups of local blend: words that change and words to leave alone."""
        if settings.blend_words:
            changing = self._named(aligned, settings.blend_words)
        else:
            changing = self._changing(aligned, weighed)
        kept = self._named(aligned, settings.keep_words)
        source, target = (torch.stack(groups, -1) for groups in zip(changing, kept, strict=True))
        return Words(source, target)

    def _changing(self, aligned: alignment.Alignment, weighed: Sequence[Span]) -> tuple[Tensor, Tensor]:
        """The tokens of replaced, deleted, inserted or weighted words in each prompt, with the phrase that a
        changed preposition governs."""
        old, new = ([pair[side] for pair in aligned.replaced] for side in (0, 1))
        there = [governed(self.source, span) for span in [*old, *aligned.deleted]]
        here = [governed(self.target, span) for span in [*new, *aligned.inserted]]
        source = _marked(self.source_tokens, there)
        target = _marked(self.target_tokens, [*here, *weighed])
        # a weighted word is in both prompts, and a swapped word has its partners in the source
        return torch.maximum(source, self._sources(aligned, target)), target

    def _sources(self, aligned: alignment.Alignment, target: Tensor) -> Tensor:
        """[T_s] with 1 for the source words that the marked target words come from."""
        return _touched(aligned.A[:, target > 0.0], self.source_tokens)

    def _named(self, aligned: alignment.Alignment, phrases: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The tokens of phrases, each of which may stand in one prompt or in both."""
        source, target = torch.zeros(self.source_tokens.length), torch.zeros(self.target_tokens.length)
        for phrase in phrases:
            text, which = _chosen(phrase)
            there, here = find_all(self.source, text), find_all(self.target, text)
            if not (there or here):
                raise VelaturaError(
                    "bad-request",
                    f"Neither prompt has {text!r:.60}; write it as it stands in one of them.",
                )
            if which is None:
                source = torch.maximum(source, _marked(self.source_tokens, map(_span, there)))
                target = torch.maximum(target, _marked(self.target_tokens, map(_span, here)))
            elif here:
                one = _marked(self.target_tokens, [_span(find(self.target, text, which))])
                target = torch.maximum(target, one)
                source = torch.maximum(source, self._sources(aligned, one))
            else:
                one = _marked(self.source_tokens, [_span(find(self.source, text, which))])
                source = torch.maximum(source, one)
                target = torch.maximum(target, _touched(aligned.A.T[:, one > 0.0], self.target_tokens))
        return source, target


def _chosen(phrase: str) -> tuple[str, int | None]:
    """A phrase and the number of its place, None for all places. "16:9" can be written as "16 9"."""
    text, colon, which = phrase.rpartition(":")
    return (text, int(which)) if colon and which.strip().isdecimal() else (phrase, None)


def _span(word: Word) -> Span:
    return word.start, word.end


def _touched(block: Tensor, read: Tokens) -> Tensor:
    """[T] with 1 for the content tokens whose rows are not zero."""
    touched = torch.zeros(read.length)
    touched[content(read)] = 1.0
    return touched * (block > 0.0).any(1)


def _marked(read: Tokens, spans: Iterable[Span]) -> Tensor:
    """[T] with 1 for the tokens of any of the spans."""
    marked = torch.zeros(read.length)
    for span in spans:
        marked[indices(read, span)] = 1.0
    return marked
