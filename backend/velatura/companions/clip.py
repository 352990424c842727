"""A CLIP (Radford et al. 2021, arXiv:2103.00020): pictures and sentences as vectors that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .opening import check_kind, opened
from .processing import Processing, read_processing

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer


@dataclass
class Encoder:
    """A CLIP on its device; its vectors have unit length and float32."""

    network: CLIPModel
    tokenizer: CLIPTokenizer
    processing: Processing

    @property
    def longest(self) -> int:
        """The most tokens it reads, with the two marks at a sentence's ends."""
        return int(self.network.config.text_config.max_position_embeddings)

    @property
    def scale(self) -> float:
        """tau: the learnt factor that makes cosines the logits of its softmax, at most 100."""
        return float(self.network.logit_scale.exp())

    def images(self, pictures: Tensor) -> Tensor:
        """[N, d] of pictures [N, 3, h, w] in [0, 1], differentiable; what is not square is stretched."""
        weights = self.network.visual_projection.weight
        x = self.processing(pictures).to(weights.dtype)
        states = self.network.vision_model(pixel_values=x).pooler_output
        return F.normalize(self.network.visual_projection(states).float(), dim=-1)

    def texts(self, sentences: Sequence[str]) -> Tensor:
        """[N, d]; tokens beyond those it reads are left out."""
        tokens = self.tokenizer(
            list(sentences), padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        # what is padded follows a sentence's end, where its vector is taken, and is seen by nothing before
        states = self.network.text_model(input_ids=tokens.input_ids.to(self.network.device)).pooler_output
        return F.normalize(self.network.text_projection(states).float(), dim=-1)

    def text(self, sentence: str) -> Tensor | None:
        """[d] of a sentence; None for one with more tokens than it reads."""
        tokens = self.tokenizer(sentence, verbose=False).input_ids
        return None if len(tokens) > self.longest else self.texts([sentence])[0]

    def similarity(self, pictures: Tensor, sentences: Sequence[str]) -> Tensor:
        """Cosines [N, T] of every picture with every sentence."""
        return self.images(pictures) @ self.texts(sentences).T


def load_encoder(path: str, device: torch.device, dtype: torch.dtype) -> Encoder:
    """Loads a folder or a hub id of transformers' CLIPModel with its tokenizer. Raises `unknown-model`.

    Weights are read from .safetensors only.
    """
    from transformers import CLIPModel, CLIPTokenizer  # slow to import

    with opened("CLIP", path) as (folder, config):
        check_kind(config, "clip")
        network = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=dtype)
        inner = folder / "tokenizer"
        tokenizer = CLIPTokenizer.from_pretrained(inner if inner.is_dir() else folder, local_files_only=True)
        side = network.config.vision_config.image_size
        processing = replace(read_processing(folder, side, device), side=side)  # its places are for no other
    network.to(device).eval().requires_grad_(False)
    return Encoder(network, tokenizer, processing)
