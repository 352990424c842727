"""CLIP's vocabulary, which ships: single files have none."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path

_VOCABULARY = Path(__file__).parent / "clip" / "bpe_simple_vocab_16e6.txt.gz"


@lru_cache(1)
def _merges() -> list[str]:
    lines = gzip.decompress(_VOCABULARY.read_bytes()).decode("utf-8").split("\n")
    return lines[1 : 49152 - 256 - 2 + 1]


@lru_cache(1)
def _whole_words() -> frozenset[str]:
    joined = ("".join(merge.split()) for merge in _merges())
    return frozenset(token.removesuffix("</w>") for token in joined if token.endswith("</w>"))


def is_token(word: str) -> bool:
    """Whether CLIP reads a word as one token, as it does the words of the language."""
    return word.lower() in _whole_words()


def write_tokenizer(folder: Path, pad: str) -> None:
    """Writes CLIP's tokenizer: 256 bytes, 256 bytes at the end of a word, one token a merge, and two marks.
    pad: the token of the padding."""
    merges = _merges()
    letters = [chr(b) for b in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + i) for i in range(256 - len(letters))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(m.split()) for m in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    _write(folder / "vocab.json", {token: i for i, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": pad} | special
    _write(folder / "tokenizer_config.json", config)
    _write(folder / "special_tokens_map.json", special | {"pad_token": pad})


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
