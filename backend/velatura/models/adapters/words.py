"""Words that textual inversions give to a model for a run.

Neither the vocabulary nor the table of tokens grows. A tokenizer reads a new word as negative numbers, for
which a hook on the text encoder's table gives the vectors. The end mark stays the largest number, by which
CLIP finds its pooled vector.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import BatchEncoding

from velatura_protocol.errors import VelaturaError

from .. import pickles
from . import inversions
from .inversions import PICKLED


@dataclass(frozen=True, eq=False)
class Vectors:
    """A word's vectors for a model.

    Args:
        word: as `inversions.Inversion` has it.
        by_encoder: [n, d] by the names of the text encoders in `LatentModel.networks`. An encoder that is not
            named reads the word's letters.
    """

    word: str
    by_encoder: Mapping[str, Tensor]

    def strengthened(self, strength: float) -> Vectors:
        """The word with its vectors times a number."""
        return Vectors(self.word, {name: strength * v for name, v in self.by_encoder.items()})


def read(path: Path, title: str, networks: Mapping[str, nn.Module]) -> Vectors:
    """The textual inversion in a file, for the text encoders of a model.

    Args:
        path: of the file.
        title: of the adapter, for messages.
        networks: by their names, as `LatentModel.networks` has them.

    Raises:
        VelaturaError: `unknown-model` for a file that is damaged, or for other text encoders.
    """
    try:
        tensors = _tensors(path)
        inversion = inversions.of_shapes({name: tuple(v.shape) for name, v in tensors.items()}, path)
        if not all(bool(v.float().isfinite().all()) for v in tensors.values()):
            raise ValueError("values that are no numbers")
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise VelaturaError(
            "unknown-model",
            f"The word {title!r} cannot be read from {path}; fetch the file again or leave the word out.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    by_encoder: dict[str, Tensor] = {}
    tables = {name: _table(network) for name, network in networks.items() if name.startswith("text_encoder")}
    for name in inversion.tensors if inversion else ():
        vectors = tensors[name].float().reshape(-1, tensors[name].shape[-1])
        free = (
            key
            for key, table in tables.items()
            if key not in by_encoder and table is not None and table.embedding_dim == vectors.shape[1]
        )
        encoder = next(free, None)
        if encoder is None:
            by_encoder.clear()
            break
        by_encoder[encoder] = vectors
    clips = {name for name in tables if "CLIP" in type(networks[name]).__name__}
    if inversion is None or not by_encoder or len({len(v) for k, v in by_encoder.items() if k in clips}) > 1:
        raise _other(title)
    if clips - by_encoder.keys():  # the CLIPs of a model share the rows of its condition
        raise _other(title)
    return Vectors(inversion.word, by_encoder)


def _other(title: str) -> VelaturaError:
    return VelaturaError(
        "unknown-model",
        f"The word {title!r} was made for other text encoders; choose a model that it suits, or leave it"
        " out.",
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() in PICKLED:
        return pickles.tensors(path)
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping


def _table(network: nn.Module) -> nn.Embedding | None:
    """The table of tokens of a text encoder."""
    own = getattr(network, "get_input_embeddings", None)
    table: object = own() if callable(own) else None
    return table if isinstance(table, nn.Embedding) else None


def _same_tables(network: nn.Module) -> list[nn.Embedding]:
    """The modules with a text encoder's table of tokens: T5 has two that share it."""
    table = _table(network)
    tables = (module for module in network.modules() if isinstance(module, nn.Embedding))
    return [one for one in tables if table is not None and one.weight is table.weight]


@contextmanager
def known(
    words: Sequence[Vectors], networks: Mapping[str, nn.Module], tokenizers: Mapping[str, Any]
) -> Generator[dict[str, WordTokenizer]]:
    """A context in which text encoders see words; it gives the tokenizers that read them, by their names.

    Args:
        words: of which those of one name have different words.
        networks: the text encoders among them, by their names.
        tokenizers: by the names of their text encoders.
    """
    made: dict[str, WordTokenizer] = {}
    with ExitStack() as stack:
        for name in {name for word in words for name in word.by_encoder}:
            own = [(word.word, word.by_encoder[name]) for word in words if name in word.by_encoder]
            rows, first = {}, 0
            for word, vectors in own:
                rows[word] = range(first, first + len(vectors))
                first += len(vectors)
            made[name] = WordTokenizer(tokenizers[name], rows)
            for table in _same_tables(networks[name]):
                _see(table, torch.cat([vectors for _, vectors in own]), stack)
        yield made


def _see(table: nn.Embedding, vectors: Tensor, stack: ExitStack) -> None:
    """Lets a table of tokens give vectors [n, d] for the numbers -1, -2 … -n."""
    read: list[Tensor] = []

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        read.append(inputs[0])
        return (inputs[0].clamp(min=0), *inputs[1:])

    def after(_: nn.Module, __: Any, states: Tensor) -> Tensor:
        ids = read.pop()
        own = vectors.to(states)[(-1 - ids).clamp(min=0)]
        return torch.where((ids < 0)[..., None], own, states)

    stack.callback(table.register_forward_pre_hook(before).remove)
    stack.callback(table.register_forward_hook(after).remove)


class WordTokenizer:
    """A tokenizer that reads words as numbers below 0, one for each of their vectors.

    A text without such words is read by the tokenizer itself. The other parts of a text are read by it one by
    one; a word between spaces or marks parts no other word.

    Args:
        tokenizer: of CLIP or T5.
        words: the rows of each word's vectors; row i is read as -1 - i.
    """

    def __init__(self, tokenizer: Any, words: Mapping[str, range]) -> None:
        self._tokenizer = tokenizer
        self._words = words

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(
        self,
        prompt: str,
        *,
        padding: str | bool = False,
        max_length: int | None = None,
        truncation: bool = False,
        return_tensors: str | None = None,
        return_offsets_mapping: bool = False,
        verbose: bool = True,
    ) -> BatchEncoding:
        """As the tokenizer's own call; these are the arguments that families use."""
        places = [*inversions.places(self._words, prompt)]
        if not places:
            return self._tokenizer(
                prompt,
                padding=padding,
                max_length=max_length,
                truncation=truncation,
                return_tensors=return_tensors,
                return_offsets_mapping=return_offsets_mapping,
                verbose=verbose,
            )
        content: list[tuple[int, tuple[int, int]]] = []
        at = 0
        for start, end, word in places:
            content += self._plain(prompt, at, start)
            content += [(-1 - row, (start, end)) for row in self._words[word]]
            at = end
        content += self._plain(prompt, at, len(prompt))
        *before, last = self._tokenizer("", verbose=False).input_ids
        if truncation and max_length is not None:
            content = content[: max_length - len(before) - 1]
        none = (0, 0)
        read = [*((id, none) for id in before), *content, (last, none)]
        length = max_length if padding == "max_length" and max_length is not None else len(read)
        pads = max(0, length - len(read))
        ids = [id for id, _ in read] + [self._tokenizer.pad_token_id] * pads
        made: dict[str, Any] = {"input_ids": ids, "attention_mask": [1] * len(read) + [0] * pads}
        if return_tensors:
            made = {name: torch.tensor([values]) for name, values in made.items()}
        if return_offsets_mapping:
            made["offset_mapping"] = [span for _, span in read] + [none] * pads
        return BatchEncoding(made)

    def _plain(self, prompt: str, start: int, end: int) -> list[tuple[int, tuple[int, int]]]:
        """The tokens of a part of a prompt, each with its characters."""
        text = prompt[start:end].strip()
        if not text:
            return []
        start = prompt.index(text, start)
        read = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans = [(start + a, start + b) if a < b else (0, 0) for a, b in read["offset_mapping"]]
        return [*zip(read["input_ids"], spans, strict=True)]
