"""Where a thing is that words name: a small CLIPSeg (Lueddecke & Ecker 2022) in transformers' format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .clip import normalise
from .pictures import fit

if TYPE_CHECKING:
    from transformers import CLIPSegForImageSegmentation, CLIPTokenizer


class Segmenter:
    """Masks from words; what is not in the picture has an empty one."""

    def __init__(self, model: CLIPSegForImageSegmentation, tokenizer: CLIPTokenizer) -> None:
        self.model, self.tokenizer = model.eval().requires_grad_(False), tokenizer
        self.side = model.config.vision_config.image_size

    def to(self, device: torch.device | str) -> Segmenter:
        self.model.to(device)
        return self

    def read(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1, one prompt each -> soft masks (N, H, W) in 0..1, differentiable."""
        if len(images) != len(prompts):
            raise ValueError(f"{len(images)} pictures and {len(prompts)} prompts; there must be one for each")
        ids = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        clip, device = self.model.clip, self.model.device
        words = clip.text_projection(clip.text_model(input_ids=ids.to(device)).pooler_output)
        pixels = normalise(fit(images, self.side)).to(device)
        logits = decode(self.model, features(self.model, pixels), words)
        if logits.shape[-2:] != images.shape[-2:]:
            logits = F.interpolate(logits[:, None], images.shape[-2:], mode="bilinear")[:, 0]
        return logits.sigmoid()


def features(model: CLIPSegForImageSegmentation, pixels: Tensor) -> list[Tensor]:
    """What the decoder takes from the picture's tower: hidden states (N, tokens, width) of some layers.

    transformers' own `forward` computes them without gradients.
    """
    states = model.clip.vision_model(pixel_values=pixels, output_hidden_states=True).hidden_states
    return [states[layer + 1] for layer in model.extract_layers]


def decode(model: CLIPSegForImageSegmentation, hidden: list[Tensor], words: Tensor) -> Tensor:
    """Logits (N, side, side) of masks, from hidden states and projected texts (N, projection)."""
    return model.decoder(hidden, words).logits


def load_segmenter(folder: Path) -> Segmenter:
    """A segmenter in transformers' format. None ships with the package yet: `velatura train segmenter`."""
    from transformers import CLIPSegForImageSegmentation, CLIPTokenizer  # slow to import

    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    model = CLIPSegForImageSegmentation.from_pretrained(folder, **options)
    return Segmenter(model, CLIPTokenizer.from_pretrained(folder, local_files_only=True))
