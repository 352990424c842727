"""CLIP (Radford et al. 2021, arXiv:2103.00020): vectors of pictures and sentences that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .opening import check_kind, opened, place, section
from .processing import Processing, read_processing

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer


@dataclass
class Encoder:
    """A CLIP on its device. Its vectors have unit length and are float32."""

    network: CLIPModel
    tokenizer: CLIPTokenizer
    processing: Processing

    @property
    def longest(self) -> int:
        """The largest number of tokens it reads, including the start and end tokens."""
        return int(section(self.network.config, "text_config").max_position_embeddings)

    @property
    def side(self) -> int:
        """The side of the pictures that its vision tower sees, in pixels."""
        return self.processing.side

    @property
    def scale(self) -> float:
        """exp(t) in the paper: the learnt factor that turns cosines into logits; at most 100."""
        return float(self.network.logit_scale.exp())

    def images(self, pictures: Tensor) -> Tensor:
        """Vectors [N, d] of pictures [N, 3, h, w] in [0, 1], differentiable. Stretches them to a square."""
        weights = self.network.visual_projection.weight
        x = self.processing(pictures).to(weights.dtype)
        states = self.network.vision_model(pixel_values=x).pooler_output
        return F.normalize(self.network.visual_projection(states).float(), dim=-1)

    def layers(self, pictures: Tensor) -> list[Tensor]:
        """The features [N, L, d] float32 of pictures [N, 3, h, w] in [0, 1] before and after each layer of
        the vision tower, differentiable."""
        x = self.processing(pictures).to(self.network.visual_projection.weight.dtype)
        states = self.network.vision_model(pixel_values=x, output_hidden_states=True).hidden_states
        return [layer.float() for layer in states or ()]

    def attentions(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The vectors [N, d] of `images`, and the attentions [N, heads, t, t] of the vision tower's blocks,
        which the vectors can be differentiated by; place 0 of the t is the class's token.

        The blocks are computed one by one here, because fused attention has no such matrices.
        """
        vision, weights = self.network.vision_model, self.network.visual_projection.weight
        x = vision.pre_layrnorm(vision.embeddings(self.processing(pictures).to(weights.dtype)))
        x = x.detach().requires_grad_()  # no gradient is needed before the first block
        attentions: list[Tensor] = []
        blocks: list[Any] = list(vision.encoder.layers)
        for block in blocks:
            own, h = block.self_attn, block.layer_norm1(x)
            q, k, v = (
                project(h).unflatten(-1, (own.num_heads, -1)).transpose(1, 2)
                for project in (own.q_proj, own.k_proj, own.v_proj)
            )
            A = (q @ k.transpose(-1, -2) * own.scale).softmax(-1)
            attentions.append(A)
            x = x + own.out_proj((A @ v).transpose(1, 2).flatten(2))
            x = x + block.mlp(block.layer_norm2(x))
        vectors = self.network.visual_projection(vision.post_layernorm(x[:, 0]))
        return F.normalize(vectors.float(), dim=-1), attentions

    def texts(self, sentences: Sequence[str]) -> Tensor:
        """Vectors [N, d] of N sentences. Ignores tokens beyond `longest`."""
        tokens = self.tokenizer(
            list(sentences), padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        # attention is causal and the vector is that of the end token, so the padding behind it has no effect
        states = self.network.text_model(input_ids=tokens.input_ids.to(self.network.device)).pooler_output
        return F.normalize(self.network.text_projection(states).float(), dim=-1)

    def text(self, sentence: str) -> Tensor | None:
        """The vector [d] of a sentence; None for one with more than `longest` tokens."""
        tokens = self.tokenizer(sentence, verbose=False).input_ids
        return None if len(tokens) > self.longest else self.texts([sentence])[0]

    def similarity(self, pictures: Tensor, sentences: Sequence[str]) -> Tensor:
        """Cosines [N, T] of every picture with every sentence."""
        return self.images(pictures) @ self.texts(sentences).T


def load_encoder(path: str, device: torch.device, dtype: torch.dtype) -> Encoder:
    """Loads a CLIP.

    Args:
        path: a folder or hub id of transformers' CLIPModel with its tokenizer. Weights are read from
            .safetensors only.
        device: the device to run on.
        dtype: of the weights.

    Raises `unknown-model`.
    """
    from transformers import CLIPModel, CLIPTokenizer  # slow to import

    with opened("CLIP", path) as (folder, config):
        check_kind(config, "clip")
        network = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=dtype)
        inner = folder / "tokenizer"
        tokenizer = CLIPTokenizer.from_pretrained(inner if inner.is_dir() else folder, local_files_only=True)
        side = section(network.config, "vision_config").image_size
        # position embeddings fit this side only, whatever the processor's file says
        processing = replace(read_processing(folder, side, device), side=side)
    place(network, device, "CLIP")
    return Encoder(network, tokenizer, processing)
