"""Finds named things in a picture, by CLIPSeg (`clipseg`) or by SAM 3 (`sam3`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .opening import check_kind, opened

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Segmenter(Protocol):
    """A network that finds named things."""

    @property
    def longest(self) -> int:
        """The largest number of tokens it reads, including the start and end tokens."""
        ...

    def reads(self, phrase: str) -> bool:
        """Whether a phrase has at most `longest` tokens."""
        ...

    def find(self, image: Tensor, phrases: Sequence[str]) -> Tensor:
        """Soft masks [N, h, w] in [0, 1] of one picture [3, h, w] in [0, 1] by N phrases, float32.

        A value is the probability that the thing is there; the mask of a thing that is not in the picture is
        nearly 0 everywhere.
        """
        ...


def load_segmenter(path: str | Path, device: torch.device | str, dtype: torch.dtype) -> Segmenter:
    """Loads a segmenter; the folder's config.json tells its kind.

    Args:
        path: a folder or hub id of transformers' CLIPSegForImageSegmentation or Sam3Model, with its tokenizer
            and image processor. Weights are read from .safetensors only.
        device: the device to run on.
        dtype: of the weights.

    Raises `unknown-model`.
    """
    from . import clipseg, sam3

    with opened("segmenter", path) as (folder, config):
        if config.get("model_type") in sam3.KINDS:
            return sam3.sam3(folder, device, dtype)
        check_kind(config, "clipseg")
        return clipseg.clipseg(folder, device, dtype)
