"""A small byte-level BPE tokenizer in CLIP's format, with one token for every word of the captions."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from velatura_lab.world import Caption, vocabulary

from .networks import TOKENS

START, END = "<|startoftext|>", "<|endoftext|>"


def write_tokenizer(folder: Path) -> None:
    """Learn merges from the captions' words and write `vocab.json`, `merges.txt` and the configuration.

    As CLIP's, the vocabulary begins with the 256 bytes and the 256 bytes at the end of a word, so that any
    text has tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    learner.train_from_iterator(
        vocabulary(), trainers.BpeTrainer(vocab_size=4096, end_of_word_suffix="</w>", show_progress=False)
    )
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *("".join(pair) for pair in merges),
        START,
        END,
    ]
    ids: dict[str, int] = {}
    for token in tokens:
        ids.setdefault(token, len(ids))
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False))
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n"
    )
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**special, "model_max_length": TOKENS, "tokenizer_class": "CLIPTokenizer"}, indent=2)
        + "\n"
    )


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer in a folder of --work.

    It is built on first use.  It is built again for new words of the captions, unless a checkpoint beside it
    uses its ids.
    """
    if not (folder / "vocab.json").exists() or not (knows_all(folder) or has_readers(folder.parent)):
        write_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(folder)


def knows_all(folder: Path) -> bool:
    """Whether every word of the captions is one token."""
    known = json.loads((folder / "vocab.json").read_text())
    return all(f"{word}</w>" in known for word in vocabulary())


def has_readers(work: Path) -> bool:
    """Whether a folder has a checkpoint of a network that reads words."""
    return any((work / f"{part}.pt").exists() for part in ("diffusion", "clip", "segmenter"))


def encode(tokenizer: CLIPTokenizer, captions: list[str]) -> list[list[int]]:
    """Token ids (N, TOKENS), truncated and padded."""
    return tokenizer(captions, padding="max_length", truncation=True, max_length=TOKENS).input_ids


def token_elements(caption: Caption) -> list[str]:
    """The element of each of the TOKENS positions, "" for none.

    The start marker comes first; each word is one token.
    """
    names = ["", *(word.element for word in caption.words)][: TOKENS - 1]
    return names + [""] * (TOKENS - len(names))
