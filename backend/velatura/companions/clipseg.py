"""Where a thing is that words name: a small CLIPSeg (Lueddecke & Ecker 2022) in transformers' format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.bundles import BUNDLES

from .opening import check_kind, opened
from .processing import Processing, read_processing

if TYPE_CHECKING:
    from transformers import CLIPSegForImageSegmentation, CLIPTokenizer

BUNDLE = BUNDLES / "velatura-segmenter"


class Segmenter:
    """Masks from words; what is not in the picture has an empty one."""

    def __init__(
        self, model: CLIPSegForImageSegmentation, tokenizer: CLIPTokenizer, processing: Processing
    ) -> None:
        self.model, self.tokenizer = model.eval().requires_grad_(False), tokenizer
        self.processing = processing

    @property
    def longest(self) -> int:
        """The most tokens it reads, with the two marks at a phrase's ends."""
        return int(self.model.config.text_config.max_position_embeddings)

    def reads(self, phrase: str) -> bool:
        """Whether it reads a phrase to its end."""
        return len(self.tokenizer(phrase, verbose=False).input_ids) <= self.longest

    def read(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1, one prompt each -> soft masks (N, H, W) in 0..1, differentiable."""
        if len(images) != len(prompts):
            raise ValueError(f"{len(images)} pictures and {len(prompts)} prompts; there must be one for each")
        return self._masks(self._look(images), self._words(prompts), images.shape[-2:])

    def find(self, image: Tensor, phrases: Sequence[str]) -> Tensor:
        """One picture (3, H, W) in 0..1 -> a soft mask for each phrase, (N, H, W) in 0..1.

        What is not square is made so by mirroring, so that all of it is seen at once and at its own
        proportions. Squashed, things look unlike those it was trained on; in tiles, none knows what is in the
        others ("the left one", "the largest"), and their borders show. The price is detail: the longer side
        has the network's pixels.
        """
        square, (top, left) = mirrored_square(image)
        hidden = [states.expand(len(phrases), -1, -1) for states in self._look(square[None])]
        found = self._masks(hidden, self._words(phrases), square.shape[-2:])
        return found[:, top : top + image.shape[-2], left : left + image.shape[-1]]

    def _look(self, images: Tensor) -> list[Tensor]:
        return features(self.model, self.processing(images))

    def _words(self, phrases: Sequence[str]) -> Tensor:
        """(N, projection); tokens beyond those it reads are left out."""
        tokens = self.tokenizer(
            list(phrases), padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        # what is padded follows a phrase's end, where its vector is taken, and is seen by nothing before
        states = self.model.clip.text_model(input_ids=tokens.input_ids.to(self.model.device)).pooler_output
        return self.model.clip.text_projection(states)

    def _masks(self, hidden: list[Tensor], words: Tensor, size: Sequence[int]) -> Tensor:
        logits = decode(self.model, hidden, words).float()
        if logits.shape[-2:] != tuple(size):
            logits = F.interpolate(logits[:, None], tuple(size), mode="bilinear")[:, 0]
        return logits.sigmoid()


def mirrored_square(image: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """A picture (..., H, W) in the middle of a square of its longer side, the rest its mirror image; and
    where in that its corner is, (y, x)."""
    side = max(image.shape[-2:])
    corner = []
    for dimension in (-2, -1):
        size = image.shape[dimension]
        corner.append((side - size) // 2)
        place = (torch.arange(side, device=image.device) - corner[-1]) % (2 * size)
        image = image.index_select(dimension, torch.minimum(place, 2 * size - 1 - place))
    return image, (corner[0], corner[1])


def features(model: CLIPSegForImageSegmentation, pixels: Tensor) -> list[Tensor]:
    """What the decoder takes from the picture's tower: hidden states (N, tokens, width) of some layers.

    transformers' own `forward` computes them without gradients.
    """
    states = model.clip.vision_model(pixel_values=pixels, output_hidden_states=True).hidden_states
    return [states[layer + 1] for layer in model.extract_layers]


def decode(model: CLIPSegForImageSegmentation, hidden: list[Tensor], words: Tensor) -> Tensor:
    """Logits (N, side, side) of masks, from hidden states and projected texts (N, projection)."""
    return model.decoder(hidden, words).logits


def load_segmenter(
    path: str | Path = BUNDLE, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Segmenter:
    """Loads a folder or a hub id of transformers' CLIPSegForImageSegmentation with its tokenizer and what its
    image processor says of size and normalisation. Raises `unknown-model`. Weights are read from .safetensors
    only. The one that ships knows the embedded model's world only."""
    from transformers import CLIPSegForImageSegmentation, CLIPTokenizer  # slow to import

    with opened("segmenter", path) as (folder, config):
        check_kind(config, "clipseg")
        options = {"local_files_only": True, "use_safetensors": True, "dtype": dtype}
        model = CLIPSegForImageSegmentation.from_pretrained(folder, **options).to(device)
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        return Segmenter(
            model, tokenizer, read_processing(folder, model.config.vision_config.image_size, device)
        )
