"""From two prompts and what a person set for their words to the tensors of an edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from velatura.models.model import Model
from velatura_protocol.errors import VelaturaError

from . import align as alignment
from .control import Control, Words, steps_within
from .local import LocalBlend
from .prompt import Span, Tokens, find, indices, tokens


@dataclass(frozen=True)
class WordSetting:
    """What is set for one place of the target prompt. weight: c. until: share of the cross window for which
    it takes the source's map."""

    text: str
    which: int = 1
    weight: float = 1.0
    until: float = 1.0


@dataclass(frozen=True)
class Settings:
    """How an edit is made. Windows are fractions of the steps, counted from the first.

    local_blend: whether the edit stays where its words are; blend_words: which words these are (empty: those
    that change), keep_words: which are left alone, each a list of phrases. threshold: k.
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
    """control, local: of `words.edit.edit`. changes: whether the target can differ from the source."""

    control: Control
    local: LocalBlend | None
    changes: bool


def plan(
    model: Model, source: str, target: str, words: Sequence[WordSetting], settings: Settings, n: int
) -> Plan:
    """The edit that makes the picture of one prompt that of another, in n steps.

    Raises `bad-request` for a word that is not there, in a sentence that names it; `prompt-too-long`.
    """
    for prompt in (source, target):
        model.check_prompt(prompt)
    pair = _Pair(
        source,
        tokens(model.tokenizer, source, model.prompt_tokens),
        target,
        tokens(model.tokenizer, target, model.prompt_tokens),
    )
    aligned = alignment.align(source, pair.source_tokens, target, pair.target_tokens, settings.replaced)
    weights, windows = torch.ones(pair.target_tokens.length), torch.ones(pair.target_tokens.length)
    weighed: list[Span] = []
    for word in words:
        place = find(target, word.text, word.which)
        here = indices(pair.target_tokens, (place.start, place.end))
        weights[here], windows[here] = word.weight, word.until
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


@dataclass(frozen=True)
class _Pair:
    """Two prompts with their tokens."""

    source: str
    source_tokens: Tokens
    target: str
    target_tokens: Tokens

    def blended(self, aligned: alignment.Alignment, weighed: Sequence[Span], settings: Settings) -> Words:
        """The two groups of local blend, words that change and words to be left alone."""
        if settings.blend_words:
            changing = self._named(settings.blend_words)
        else:
            changing = self._changing(aligned, weighed)
        kept = self._named(settings.keep_words)
        return Words(*(torch.stack(groups, -1) for groups in zip(changing, kept, strict=True)))

    def _changing(self, aligned: alignment.Alignment, weighed: Sequence[Span]) -> tuple[Tensor, Tensor]:
        """The tokens of what was replaced, deleted, inserted or weighed, in each prompt."""
        source = _marked(self.source_tokens, [*(old for old, _ in aligned.replaced), *aligned.deleted])
        target = _marked(
            self.target_tokens, [*(new for _, new in aligned.replaced), *aligned.inserted, *weighed]
        )
        # a word that is only turned up or down stands in both prompts; so do a swapped one's partners
        partners = (aligned.A[:, target > 0.0] > 0.0).any(1)
        partners[[i for i in range(len(partners)) if i not in self.source_tokens.content]] = False
        return torch.maximum(source, partners.float()), target

    def _named(self, phrases: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The tokens of phrases, each of which may stand in one prompt or in both."""
        groups = []
        for prompt, read in ((self.source, self.source_tokens), (self.target, self.target_tokens)):
            groups.append(_marked(read, [span for phrase in phrases if (span := _place(prompt, phrase))]))
        for phrase in phrases:
            if not (_place(self.source, phrase) or _place(self.target, phrase)):
                raise VelaturaError(
                    "bad-request",
                    f"Neither prompt has {phrase!r:.60}; write it as it stands in one of them.",
                )
        return groups[0], groups[1]


def _place(prompt: str, phrase: str) -> Span | None:
    try:
        word = find(prompt, phrase)
    except VelaturaError:
        return None
    return word.start, word.end


def _marked(read: Tokens, spans: Sequence[Span]) -> Tensor:
    """[T] with 1 for the tokens of any of the spans."""
    marked = torch.zeros(read.length)
    for span in spans:
        marked[indices(read, span)] = 1.0
    return marked
