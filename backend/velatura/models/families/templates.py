"""Prompts inside of the text that a language model reads: a chat template, or a text with a gap."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from velatura.diffusion.network import Tokenized


class Template:
    """The text around a prompt, and its tokenizer.

    Args:
        tokenizer: of transformers, a fast one.
        text: the whole text for a prompt.
        longest: the largest number of tokens that the network reads of it.
        skipped: the number of tokens at the start whose states the network does not get.
        padded: whether a text is padded to the longest length; the padding's states count too.
    """

    def __init__(
        self,
        tokenizer: Any,
        text: Callable[[str], str],
        longest: int,
        *,
        skipped: int = 0,
        padded: bool = False,
    ) -> None:
        self.tokenizer, self.text, self.longest, self.skipped = tokenizer, text, longest, skipped
        self._padding: dict[str, Any] = (
            {"padding": "max_length", "max_length": longest + skipped, "truncation": True} if padded else {}
        )

    @cached_property
    def start(self) -> int:
        """The number of characters before the prompt."""
        return len(os.path.commonprefix([self.text("\x01"), self.text("\x02")]))

    def count(self, prompt: str) -> int:
        """The number of tokens of the whole text that the network would get, without padding."""
        return len(self.tokenizer(self.text(prompt), verbose=False).input_ids) - self.skipped

    def read(self, prompt: str) -> Mapping[str, Tensor]:
        """The text encoder's inputs, each int64 [1, L]."""
        read = self.tokenizer(self.text(prompt), return_tensors="pt", **self._padding)
        return {"input_ids": read.input_ids, "attention_mask": read.attention_mask}

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`. Characters are those of the prompt: the template's tokens have none."""
        read = self.tokenizer(self.text(prompt), return_offsets_mapping=True, **self._padding)
        return tokenized(read.input_ids, read.offset_mapping, self.start, len(prompt), self.skipped)


def tokenized(
    ids: Sequence[int], offsets: Sequence[tuple[int, int]], start: int, length: int, skipped: int = 0
) -> Tokenized:
    """A text's tokens from number `skipped` on, with the places of those of the prompt within it.

    Args:
        ids, offsets: of the whole text.
        start, length: the prompt's characters in the text.
        skipped: see `Template`.
    """
    places = [(max(0, low - start), min(length, high - start)) for low, high in offsets][skipped:]
    content = [j for j, (low, high) in enumerate(places) if low < high]
    before = max((j + 1 for j, (low, high) in enumerate(offsets[skipped:]) if low < high <= start), default=0)
    first, last = (content[0], content[-1] + 1) if content else (before, before)
    inside = [place if place[0] < place[1] else (0, 0) for place in places]
    return Tokenized(list(ids[skipped:]), inside, range(first, last))


@torch.inference_mode()
def hidden_states(encoder: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """The states [1, L, d] before, between and after the layers of a language model."""
    device = next(encoder.parameters()).device
    inputs = {name: value.to(device) for name, value in inputs.items()}
    return encoder(**inputs, output_hidden_states=True, use_cache=False).hidden_states
