"""How CLIP's tokenizer reads a prompt."""

from __future__ import annotations

from transformers import CLIPTokenizer

from velatura.diffusion.network import Tokenized


def tokenized(tokenizer: CLIPTokenizer, prompt: str, length: int) -> Tokenized:
    """The prompt as `length` tokens, which must be enough for it: the start mark, its content, the end mark,
    and padding (which repeats the end mark in CLIP's own tokenizers)."""
    read = tokenizer(prompt, padding="max_length", max_length=length, return_offsets_mapping=True)
    return Tokenized(read["input_ids"], read["offset_mapping"], range(1, sum(read["attention_mask"]) - 1))
