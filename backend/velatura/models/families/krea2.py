"""Krea 2: Raw and Turbo.

Krea 2025, Krea 2 (model cards of Krea-2-Raw and Krea-2-Turbo). The transformer reads the states between many
layers of Qwen3-VL, and fuses them itself; it has one stream, and fewer heads of keys than of queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers.models.transformers.transformer_krea2 import Krea2Transformer2DModel
from torch import Tensor, nn
from transformers import AutoTokenizer

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized
from velatura.models.headers import Header, read_header
from velatura.models.recognition import Found
from velatura.models.traits import FEW_STEPS
from velatura.weights.json_files import read_object

from . import found_parts, parts
from .joint import pack, positions, unpack
from .qwen3 import qwen3_vl
from .qwen_latents import CHAT, DESCRIBED, DESCRIBED_TOKENS, QwenLatents, autoencoder
from .templates import Template, hidden_states

LONGEST = 512
"""Tokens of a prompt and of the template behind it."""
_READ = (2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35)
"""The layers of Qwen3-VL-4B before which the states are read."""
_LEVELS = {
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 6400,
}
_DISTILLED_SHIFT = 1.15  # of Turbo, for pictures of any size


@dataclass(kw_only=True, eq=False)
class Krea2(QwenLatents):
    """Krea 2 on its device.

    Args:
        text_encoder: the language model of Qwen3-VL.
        template: the text around a prompt.
        read: the numbers of the layers before which its states are read.
        distilled: whether it is Turbo.
    """

    text_encoder: nn.Module
    template: Template
    read: tuple[int, ...] = _READ
    distilled: bool = False

    plain: ClassVar[tuple[str, ...]] = ("text_fusion",)

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """See `JointModel`."""
        return {"text_encoder": self.text_encoder}

    def mu(self, tokens: int) -> float:
        """See `JointModel`."""
        return _DISTILLED_SHIFT if self.distilled else super().mu(tokens)

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`."""
        return self.template.count(prompt), self.template.longest

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`."""
        return self.template.tokenized(prompt)

    def _condition(self, prompt: str) -> Condition:
        """The states of all layers that are read, side by side, [1, L, layers d].

        The padding of diffusers' pipeline is left out: it takes no place, and no token attends to it.
        """
        states = hidden_states(self.text_encoder, self.template.read(prompt))
        chosen = torch.cat([states[i] for i in self.read], dim=-1)
        return Condition(chosen[:, self.template.skipped :].float())

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """See `JointModel`."""
        height, width = x.shape[-2:]
        rows, columns = height // self.patch, width // self.patch
        text, image = condition.states.shape[1], rows * columns
        places = torch.cat([torch.zeros(text, 3), positions(rows, columns)])
        with self.attending(attend, (0, text), (text, text + image)):
            out = self.transformer(
                hidden_states=pack(x, self.patch),
                encoder_hidden_states=condition.states.to(self.computing).unflatten(-1, (len(self.read), -1)),
                encoder_attention_mask=condition.valid,
                timestep=time,
                position_ids=places.to(x.device),
                return_dict=False,
            )[0]
        return unpack(out, height, width, self.patch)


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Krea2:
    """Loads the model."""
    part = found_parts.Parts(found)
    path = part["transformer"]
    config = None if path.is_dir() else configurations(read_header(path))["transformer"]
    read = _layers(found)
    tokenizer = AutoTokenizer.from_pretrained(part["tokenizer"], local_files_only=True)
    return Krea2(
        id=id,
        digest=digest,
        transformer=parts.transformer(Krea2Transformer2DModel, path, dtype, config),
        autoencoder=autoencoder(part["vae"], dtype),
        text_encoder=qwen3_vl(part["text_encoder"], dtype, max(read)),
        template=Template(
            tokenizer, lambda prompt: CHAT.format(DESCRIBED, prompt), LONGEST, skipped=DESCRIBED_TOKENS
        ),
        scheduler=part.scheduler(_LEVELS),
        read=read,
        distilled=FEW_STEPS in found.traits,
        side=found.size,
        takes_guidance=found.takes_guidance,
        device=device,
        dtype=dtype,
    )


def _layers(found: Found) -> tuple[int, ...]:
    """The layers that are read, as a folder says; else the published models'."""
    index = found.path / "model_index.json"
    told = read_object(index).get("text_encoder_select_layers") if found.form == "folder" else None
    return tuple(int(i) for i in told) if told else _READ


def configurations(header: Header) -> dict[str, dict[str, Any]]:
    """diffusers' configuration of the transformer in a file, in the authors' layout or in diffusers'."""
    shapes = parts.shapes(header.shapes, parts.NETWORK_PREFIXES, "txtfusion.")
    theirs = bool(shapes)
    shapes = shapes or parts.shapes(header.shapes, parts.NETWORK_PREFIXES, "text_fusion.")

    def shape(original: str, ours: str) -> tuple[int, ...]:
        return shapes[original if theirs else ours]

    fusion, block = ("txtfusion", "blocks") if theirs else ("text_fusion", "transformer_blocks")
    q, k, norm = ("wq", "wk", "qknorm.qnorm.scale") if theirs else ("to_q", "to_k", "norm_q.weight")
    inner = "mlp" if theirs else "ff"
    width, channels = shape("first.weight", "img_in.weight")
    head = shapes[f"{block}.0.attn.{norm}"][0]
    first = f"{fusion}.layerwise_blocks.0"
    text_head = shapes[f"{first}.attn.{norm}"][0]
    text_width = shapes[f"{first}.attn.{q}.weight"][1]
    return {
        "transformer": {
            "in_channels": channels,
            "num_layers": parts.count(shapes, f"{block}."),
            "attention_head_dim": head,
            "num_attention_heads": width // head,
            "num_key_value_heads": shapes[f"{block}.0.attn.{k}.weight"][0] // head,
            "intermediate_size": shapes[f"{block}.0.{inner}.gate.weight"][0],
            "timestep_embed_dim": shape("tmlp.0.weight", "time_embed.linear_1.weight")[1],
            "text_hidden_dim": text_width,
            "num_text_layers": shapes[f"{fusion}.projector.weight"][1],
            "text_num_attention_heads": text_width // text_head,
            "text_num_key_value_heads": shapes[f"{first}.attn.{k}.weight"][0] // text_head,
            "text_intermediate_size": shapes[f"{first}.{inner}.gate.weight"][0],
            "num_layerwise_text_blocks": parts.count(shapes, f"{fusion}.layerwise_blocks."),
            "num_refiner_text_blocks": parts.count(shapes, f"{fusion}.refiner_blocks."),
            # a head of 128 channels has the published models' 32, 48, 48; others only the proportion
            "axes_dims_rope": [head // 4, head * 3 // 8, head * 3 // 8],
        }
    }
