"""Segments a picture by words: CLIPSeg (Lueddecke & Ecker 2022) in transformers' format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.bundles import BUNDLES

from .opening import check_kind, opened, place, section
from .processing import Processing, read_processing

if TYPE_CHECKING:
    from transformers import CLIPSegForImageSegmentation, CLIPTokenizer

BUNDLE = BUNDLES / "velatura-segmenter"


class ClipSeg:
    """A CLIPSeg; see `Segmenter`. The mask of a thing that is not in the picture is empty."""

    def __init__(
        self, model: CLIPSegForImageSegmentation, tokenizer: CLIPTokenizer, processing: Processing
    ) -> None:
        self.model, self.tokenizer = model.eval().requires_grad_(False), tokenizer
        self.processing = processing

    @property
    def longest(self) -> int:
        """The largest number of tokens it reads, including the start and end tokens."""
        return int(section(self.model.config, "text_config").max_position_embeddings)

    def reads(self, phrase: str) -> bool:
        """Whether a phrase has at most `longest` tokens."""
        return len(self.tokenizer(phrase, verbose=False).input_ids) <= self.longest

    def read(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Soft masks (N, H, W) in 0..1 of pictures (N, 3, H, W) in 0..1 by one prompt each, differentiable.

        Raises ValueError unless there is one prompt for each picture.
        """
        if len(images) != len(prompts):
            raise ValueError(f"{len(images)} pictures and {len(prompts)} prompts; there must be one for each")
        return self._masks(self._look(images), self._words(prompts), images.shape[-2:])

    def find(self, image: Tensor, phrases: Sequence[str]) -> Tensor:
        """See `Segmenter`.

        A picture that is not square is padded to a square by mirroring, so that the network sees all of it at
        once and undistorted. Squashed things look unlike those it was trained on. Tiles would show their
        borders, and none would know the others ("the left one", "the largest"). The price is detail: the
        longer side is reduced to the network's side.
        """
        square, (top, left) = mirrored_square(image)
        hidden = [states.expand(len(phrases), -1, -1) for states in self._look(square[None])]
        masks = self._masks(hidden, self._words(phrases), square.shape[-2:])
        return masks[:, top : top + image.shape[-2], left : left + image.shape[-1]]

    def _look(self, images: Tensor) -> list[Tensor]:
        return features(self.model, self.processing(images))

    def _words(self, phrases: Sequence[str]) -> Tensor:
        """Projected texts (N, projection). Ignores tokens beyond `longest`."""
        tokens = self.tokenizer(
            list(phrases), padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        # attention is causal and the vector is that of the end token, so the padding behind it has no effect
        states = self.model.clip.text_model(input_ids=tokens.input_ids.to(self.model.device)).pooler_output
        return self.model.clip.text_projection(states)

    def _masks(self, hidden: list[Tensor], words: Tensor, size: Sequence[int]) -> Tensor:
        logits = decode(self.model, hidden, words).float()
        if logits.shape[-2:] != tuple(size):
            logits = F.interpolate(logits[:, None], tuple(size), mode="bilinear")[:, 0]
        return logits.sigmoid()


def mirrored_square(image: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """A picture (..., H, W) padded to a square of its longer side by mirroring, and its corner in it (y, x).

    The picture lies in the middle of the square.
    """
    side = max(image.shape[-2:])
    corner: list[int] = []
    for dimension in (-2, -1):
        size = image.shape[dimension]
        corner.append((side - size) // 2)
        at = (torch.arange(side, device=image.device) - corner[-1]) % (2 * size)
        image = image.index_select(dimension, torch.minimum(at, 2 * size - 1 - at))
    return image, (corner[0], corner[1])


def features(model: CLIPSegForImageSegmentation, pixels: Tensor) -> list[Tensor]:
    """The decoder's input: hidden states (N, tokens, width) of some layers of the vision encoder.

    transformers' own `forward` computes them without gradients.
    """
    states = model.clip.vision_model(pixel_values=pixels, output_hidden_states=True).hidden_states
    return [states[layer + 1] for layer in model.extract_layers]


def decode(model: CLIPSegForImageSegmentation, hidden: list[Tensor], words: Tensor) -> Tensor:
    """Logits (N, side, side) of masks from hidden states (N, tokens, width) and texts (N, projection)."""
    return model.decoder(hidden, words).logits


def load_clipseg(
    path: str | Path = BUNDLE, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> ClipSeg:
    """Loads a CLIPSeg.

    Args:
        path: a folder or hub id of transformers' CLIPSegForImageSegmentation with its tokenizer and image
            processor. Weights are read from .safetensors only. The default ships with Velatura and knows the
            embedded model's world only.
        device: the device to run on.
        dtype: of the weights.

    Raises `unknown-model`.
    """
    with opened("segmenter", path) as (folder, config):
        check_kind(config, "clipseg")
        return clipseg(folder, device, dtype)


def clipseg(folder: Path, device: torch.device | str, dtype: torch.dtype) -> ClipSeg:
    """The CLIPSeg in a folder. The libraries that read it raise exceptions of any class."""
    from transformers import CLIPSegForImageSegmentation, CLIPTokenizer  # slow to import

    model = CLIPSegForImageSegmentation.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=dtype
    )
    place(model, device, "segmenter")
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    side = section(model.config, "vision_config").image_size
    return ClipSeg(model, tokenizer, read_processing(folder, side, device))
