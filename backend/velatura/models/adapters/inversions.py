"""Textual inversions: files of vectors that stand for a new word of a prompt. Imports no torch.

Gal et al. 2022, An Image is Worth One Word, arXiv:2208.01618, section 4. The vectors take the place of rows
of the text encoder's table of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..headers import read_header
from ..vocabulary import is_token
from . import pickled_shapes

PICKLED = (".pt", ".bin")
_ENDINGS = ("safetensors", *(ending[1:] for ending in PICKLED))
_ENCODERS = ("clip_l", "clip_g", "t5xxl")  # keys of the vectors of each encoder
_ALIASES = {"t5": "t5xxl"}
_OF_FILE = re.compile(r"emb_params|string_to_param\..*|\*")  # keys that name no word: the file's name does
_MOST_VECTORS = 75  # that CLIP reads of a prompt
_LONGEST = 64  # of a word
_FAMILIES: Mapping[tuple[int, ...], str] = {  # by the widths of the text encoders that the vectors are for
    (768,): "sd",
    (1024,): "sd",
    (768, 1280): "sdxl",
    (768, 1280, 4096): "sd3",
    (768, 4096): "flux1",
}


class Inversion(NamedTuple):
    """A textual inversion.

    Args:
        word: as it is written in a prompt. In "<…>" it acts only if the prompt has it so (or as
            "embedding:…"): the word without them has a meaning of its own.
        tensors: the names of the tensors in the file, in the order of a model's text encoders.
        widths: of their vectors.
        family: of the models that it was made for, a key of `recognition.FAMILIES`; '' for none known here.
    """

    word: str
    tensors: tuple[str, ...]
    widths: tuple[int, ...]

    @property
    def family(self) -> str:
        return _FAMILIES.get(self.widths, "")


def described(path: Path) -> Inversion | None:
    """The textual inversion in a .safetensors, .pt or .bin file; None for a file of other content.

    Raises:
        VelaturaError, ValueError, OSError: a file that cannot be read.
    """
    is_pickled = path.suffix.lower() in PICKLED
    return of_shapes(pickled_shapes.shapes(path) if is_pickled else read_header(path).shapes, path)


def of_shapes(shapes: Mapping[str, tuple[int, ...]], path: Path) -> Inversion | None:
    """As `described`, by the shapes of the file's tensors."""
    keys = {_ALIASES.get(name, name): name for name in shapes}
    if not keys or not all(_are_vectors(shape) for shape in shapes.values()):
        return None
    if keys.keys() <= set(_ENCODERS):
        names = tuple(keys[encoder] for encoder in _ENCODERS if encoder in keys)
        word = _word(path.stem)
    elif len(keys) == 1:
        names = tuple(shapes)
        word = _word(path.stem if _OF_FILE.fullmatch(names[0]) else names[0])
    else:
        return None
    return Inversion(word, names, tuple(shapes[name][-1] for name in names)) if word else None


def _are_vectors(shape: tuple[int, ...]) -> bool:
    return len(shape) in (1, 2) and shape[-1] > 0 and 0 < (1, *shape)[-2] <= _MOST_VECTORS


def _word(name: str) -> str:
    """The word of a name, in "<…>" where it would hide a word of the language; '' for a name without
    letters."""
    bare = name.strip().removeprefix("<").removesuffix(">").strip()
    if not re.search(r"\w", bare) or len(bare) > _LONGEST or not bare.isprintable():
        return ""
    return f"<{bare}>" if name.startswith("<") or is_token(bare) else bare


def places(words: Iterable[str], text: str) -> Iterator[tuple[int, int, str]]:
    """The places of words in a text, from left to right: start, end, and the word. They do not overlap.

    A word is found regardless of case, as itself, in "<…>", and as "embedding:…" with or without the file's
    ending, as ComfyUI has it.
    """
    longest_first = sorted(set(words), key=lambda word: (-len(_bare(word)), word))
    if not longest_first:
        return
    pattern = "|".join(f"({_pattern(word)})" for word in longest_first)
    for match in re.finditer(pattern, text, re.IGNORECASE):
        yield match.start(), match.end(), longest_first[(match.lastindex or 1) - 1]


def _bare(word: str) -> str:
    return word.removeprefix("<").removesuffix(">")


def _pattern(word: str) -> str:
    name = re.escape(_bare(word))
    marked = rf"<{name}>|\bembedding:{name}(?:\.(?:{'|'.join(_ENDINGS)}))?(?!-?\w)"
    return marked if word.startswith("<") else rf"{marked}|(?<!\w)(?<!\w-){name}(?!-?\w)"
