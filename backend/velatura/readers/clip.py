"""How well words fit a picture: a small CLIP (Radford et al. 2021) in transformers' format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .pictures import BUNDLES, fit

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

BUNDLE = BUNDLES / "velatura-clip"
#: Mean and deviation that CLIP's processors take from each channel of a picture.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def normalise(images: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in 0..1 as CLIP's image processor hands them on."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    return (images - mean) / torch.tensor(DEVIATION, device=images.device).view(3, 1, 1)


class Clip:
    """Vectors of unit length for pictures and texts in one space of `dimension` numbers."""

    def __init__(self, model: CLIPModel, tokenizer: CLIPTokenizer) -> None:
        self.model, self.tokenizer = model.eval().requires_grad_(False), tokenizer
        self.side = model.config.vision_config.image_size
        self.dimension = model.config.projection_dim

    def to(self, device: torch.device | str) -> Clip:
        self.model.to(device)
        return self

    def images(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1 -> (N, dimension), differentiable."""
        pixels = normalise(fit(images, self.side)).to(self.model.device)
        hidden = self.model.vision_model(pixel_values=pixels).pooler_output
        return F.normalize(self.model.visual_projection(hidden), dim=-1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """(N, dimension); words beyond what the model reads are left out."""
        tokens = self.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
        ids = tokens.input_ids.to(self.model.device)
        hidden = self.model.text_model(input_ids=ids).pooler_output
        return F.normalize(self.model.text_projection(hidden), dim=-1)

    def similarity(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """Cosines (N, T) of every picture with every text, in -1..1."""
        return self.images(images) @ self.texts(texts).T

    def direction(self, source: str, target: str) -> Tensor:
        """The unit vector (dimension,) from one text to another (StyleGAN-NADA, Gal et al. 2022, eq. 2)."""
        before, after = self.texts([source, target])
        return F.normalize(after - before, dim=-1)


def load_clip(folder: Path = BUNDLE) -> Clip:
    """The CLIP shipped with the package, or another in transformers' format."""
    from transformers import CLIPModel, CLIPTokenizer  # slow to import

    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    model = CLIPModel.from_pretrained(folder, **options)
    return Clip(model, CLIPTokenizer.from_pretrained(folder, local_files_only=True))
