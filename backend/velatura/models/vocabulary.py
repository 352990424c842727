"""The words that models know. CLIP's vocabulary ships, since single files have none. Imports no torch."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from velatura.models.catalogue import ModelEntry
from velatura.weights.json_files import read_object
from velatura_protocol.errors import VelaturaError

_VOCABULARY = Path(__file__).parent / "clip" / "bpe_simple_vocab_16e6.txt.gz"

MOST = 20_000
"""Words of a model that are told."""
_LENGTHS = range(3, 41)
_FILE = 16 * 1024 * 1024
_MARKS = ("\u2581", "\u0120")  # of a token that begins a word: SentencePiece's, and that of byte-level BPE


def words_of(model: ModelEntry) -> list[str]:
    """The words that the model knows as one piece, the most frequent first, at most `MOST`.

    They are those of its tokenizer's vocabulary, in the order in which it was learned. [] for a model that
    reads no text or whose tokenizer is not known.
    """
    if model.kind == "file":
        return _clips()
    folder = Path(model.path)
    for name in ("tokenizer", "tokenizer_3", "tokenizer_2"):
        if (folder / name / "vocab.json").is_file():
            path = folder / name / "vocab.json"
        elif (folder / name / "tokenizer.json").is_file():
            path = folder / name / "tokenizer.json"
        else:
            continue
        return _of_file(path, path.stat().st_mtime_ns)
    return []


@lru_cache(maxsize=8)
def _of_file(path: Path, _changed: int) -> list[str]:
    try:
        value = read_object(path, _FILE)
    except (OSError, ValueError, VelaturaError):
        return []
    inner = value.get("model")
    tokens = inner.get("vocab") if isinstance(inner, dict) else value
    if isinstance(tokens, dict):
        numbered = [(number, token) for token, number in tokens.items() if isinstance(number, int)]
        return _words(token for _, token in sorted(numbered))
    pairs = tokens if isinstance(tokens, list) else []
    return _words(pair[0] for pair in pairs if isinstance(pair, list) and pair)


@lru_cache(maxsize=1)
def _merges() -> list[str]:
    lines = gzip.decompress(_VOCABULARY.read_bytes()).decode("utf-8").split("\n")
    return lines[1 : 49152 - 256 - 2 + 1]


@lru_cache(maxsize=1)
def _clips() -> list[str]:
    return _words("".join(merge.split()) for merge in _merges())


@lru_cache(maxsize=1)
def _whole_words() -> frozenset[str]:
    joined = ("".join(merge.split()) for merge in _merges())
    return frozenset(token.removesuffix("</w>") for token in joined if token.endswith("</w>"))


def is_token(word: str) -> bool:
    """Whether CLIP reads a word as one token, as it does the words of the language."""
    return word.lower() in _whole_words()


def _words(tokens: Iterable[object]) -> list[str]:
    """The tokens that are whole words, in their order."""
    words: dict[str, None] = {}
    for token in tokens:
        if not isinstance(token, str):
            continue
        if token.endswith("</w>"):
            word = token.removesuffix("</w>")
        elif token.startswith(_MARKS):
            word = token[1:]
        else:
            continue
        if len(word) in _LENGTHS and word.isascii() and word.isalpha():
            words.setdefault(word)
        if len(words) == MOST:
            break
    return list(words)


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
