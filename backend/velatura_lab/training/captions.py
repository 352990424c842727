"""The training set's captions: several wordings of each picture, stored as arrays of tokens.

Wording a scene takes longer than a training step on an accelerator, so all cores word the set once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from .cores import by_cores
from .data import CHUNK, KIND_NAMES, Dataset, open_dataset
from .networks import TOKENS
from .text import NO_ELEMENT, Wording, element_classes
from .tokenizer import load_tokenizer

WORDINGS = 8  # for each picture
DROPOUT = 0.12  # share of empty captions, for classifier-free guidance (Ho & Salimans 2021)


@dataclass(frozen=True)
class Captions:
    """Token ids and their elements' numbers, both (N, WORDINGS, TOKENS), and the ids of the empty caption."""

    tokens: NDArray[np.int16]
    classes: NDArray[np.int16]
    empty: tuple[int, ...]

    def draw(self, pick: NDArray[np.int64], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and classes (B, TOKENS) of one wording of each picture, or of the empty caption."""
        wording = rng.integers(WORDINGS, size=len(pick))
        dropped = rng.random(len(pick)) < DROPOUT
        tokens = self.tokens[pick, wording].astype(np.int64)
        classes = self.classes[pick, wording].astype(np.int64)
        tokens[dropped], classes[dropped] = self.empty, NO_ELEMENT
        return torch.from_numpy(tokens), torch.from_numpy(classes)


def _word(job: tuple[Path, int, Path, int]) -> tuple[int, NDArray[np.int16]]:
    """The number of a chunk of pictures, and its ids and classes (n, WORDINGS, 2, TOKENS)."""
    folder, seed, tokenizer, chunk = job
    data, wording = open_dataset(folder, seed), _wording(tokenizer)
    rows: list[list[tuple[list[int], list[int]]]] = []
    for index in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(data))):
        rng = np.random.default_rng([data.seed, index, 1])
        kind, visible = KIND_NAMES[int(data.kinds[index])], data.visible(index)
        items = [data.caption(index, rng, visible) for _ in range(WORDINGS)]
        rows.append([(wording.row(item), element_classes(item, kind)) for item in items])
    return chunk, np.array(rows, np.int16)


_WORDINGS: dict[Path, Wording] = {}


def _wording(tokenizer: Path) -> Wording:
    if tokenizer not in _WORDINGS:
        _WORDINGS[tokenizer] = Wording(load_tokenizer(tokenizer))
    return _WORDINGS[tokenizer]


def load_captions(data: Dataset, work: Path, processes: int) -> Captions:
    """The training set's captions, worded on first use and stored beside the pictures, by vocabulary."""
    wording = _wording(work / "tokenizer")
    digest = hashlib.sha256(json.dumps([*wording.ids.items()]).encode()).hexdigest()[:8]
    path = data.folder / f"captions-{digest}.npy"
    with FileLock(data.folder / "lock"):
        if not path.exists():
            chunks = range(-(-len(data) // CHUNK))
            jobs = [(data.folder, data.seed, work / "tokenizer", chunk) for chunk in chunks]
            parts = dict(by_cores(_word, jobs, processes, "wording"))
            part = path.with_suffix(".part.npy")  # numpy appends .npy to other names
            np.save(part, np.concatenate([parts[chunk] for chunk in sorted(parts)]))
            part.replace(path)
    table = np.load(path)
    empty = (wording.start, *[wording.end] * (TOKENS - 1))
    return Captions(table[:, :, 0], table[:, :, 1], empty)
