"""Z-Image: Turbo and base.

Tongyi Lab 2025, Z-Image: An Efficient Image Generation Foundation Model with Single-Stream Diffusion
Transformer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers.models.transformers.transformer_z_image import SEQ_MULTI_OF, ZImageTransformer2DModel
from torch import Tensor, nn
from transformers import AutoTokenizer

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized
from velatura.models.headers import Header, read_header
from velatura.models.recognition import Found
from velatura.models.traits import FEW_STEPS

from . import found_parts, parts
from .joint import JointModel
from .qwen3 import chat, qwen3
from .templates import Template, hidden_states

LONGEST = 512
"""Tokens of a prompt with its template."""
_SHIFT = {True: 3.0, False: 6.0}  # of files without a schedule, by whether they are distilled
_LATENTS = {"scaling_factor": 0.3611, "shift_factor": 0.1159}  # FLUX.1's autoencoder


@dataclass(kw_only=True, eq=False)
class ZImage(JointModel):
    """Z-Image on its device.

    Its network sees tokens of the picture and then those of the prompt, each padded to a multiple of 32 by
    tokens that were learned. It gets 1 - t, and predicts z - n.

    Args:
        text_encoder: a language model without its head.
        template: the text around a prompt.
    """

    text_encoder: nn.Module
    template: Template

    own: ClassVar[tuple[str, ...]] = ("noise_refiner",)
    plain: ClassVar[tuple[str, ...]] = ("context_refiner", "siglip_refiner")

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """See `JointModel`."""
        return {"text_encoder": self.text_encoder}

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`."""
        return self.template.count(prompt), self.template.longest

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`."""
        return self.template.tokenized(prompt)

    def _condition(self, prompt: str) -> Condition:
        """The states before the last layer, [1, L, d]."""
        return Condition(hidden_states(self.text_encoder, self.template.read(prompt))[-2].float())

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """See `JointModel`."""
        states, valid = condition.states.to(self.computing), condition.valid
        prompts = list(states) if valid is None else [s[v] for s, v in zip(states, valid, strict=True)]
        tokens = x.shape[-2] * x.shape[-1] // self.patch**2
        first = -(-tokens // SEQ_MULTI_OF) * SEQ_MULTI_OF
        with self.attending(attend, (first, first + states.shape[1]), (0, tokens)):
            out = self.transformer(list(x[:, :, None]), 1.0 - time, prompts, return_dict=False)[0]
        return -torch.stack([v[:, 0] for v in out])


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> ZImage:
    """Loads the model."""
    part = found_parts.Parts(found)
    path = part["transformer"]
    config = None if path.is_dir() else configurations(read_header(path))["transformer"]
    tokenizer = AutoTokenizer.from_pretrained(part["tokenizer"], local_files_only=True)
    return ZImage(
        id=id,
        digest=digest,
        transformer=parts.transformer(ZImageTransformer2DModel, path, dtype, config),
        autoencoder=found_parts.autoencoder(part["vae"], dtype, _LATENTS),
        text_encoder=qwen3(part["text_encoder"], dtype),
        template=Template(tokenizer, chat(tokenizer, thinking=True), LONGEST),
        scheduler=part.scheduler({"shift": _SHIFT[FEW_STEPS in found.traits]}),
        side=found.size,
        takes_guidance=found.takes_guidance,
        device=device,
        dtype=dtype,
    )


def configurations(header: Header) -> dict[str, dict[str, Any]]:
    """diffusers' configuration of the transformer in a file, in the authors' layout or in diffusers'."""
    shapes = parts.shapes(header.shapes, parts.NETWORK_PREFIXES, "cap_embedder.")
    width, text = shapes["cap_embedder.1.weight"]
    norms = ("layers.0.attention.q_norm.weight", "layers.0.attention.norm_q.weight")
    head = next(shapes[name][0] for name in norms if name in shapes)
    embedder = ("x_embedder.weight", "all_x_embedder.2-1.weight")
    channels = next(shapes[name][1] for name in embedder if name in shapes) // 4
    # a head of 128 channels has the published models' 32, 48, 48; others only the proportion
    axes = [head // 4, head * 3 // 8, head * 3 // 8]
    return {
        "transformer": {
            "in_channels": channels,
            "dim": width,
            "n_layers": parts.count(shapes, "layers."),
            "n_refiner_layers": parts.count(shapes, "noise_refiner."),
            "n_heads": width // head,
            "n_kv_heads": width // head,
            "cap_feat_dim": text,
            "axes_dims": axes,
            "axes_lens": [1536, 512, 512],
        }
    }
