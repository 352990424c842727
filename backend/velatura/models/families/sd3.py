"""Stable Diffusion 3 and 3.5: a transformer that reads CLIP-L, CLIP-G and T5, the last where it is there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from velatura.attention.joint import Blocks
from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized
from velatura.models.headers import Header, read_header
from velatura.models.recognition import Found

from . import clip_and_t5, found_parts, parts
from .joint import JointModel

_TOKENS = 256  # of T5
_CLIP_TOKENS = 77
_SHIFT = {"use_dynamic_shifting": False, "shift": 3.0}
_LATENTS = {"scaling_factor": 1.5305, "shift_factor": 0.0609}
_HEAD = 64  # channels of a head, where no normalisation says it


@dataclass(kw_only=True, eq=False)
class StableDiffusion3(JointModel):
    """A Stable Diffusion 3 or 3.5 on its device.

    Args:
        text_encoder, tokenizer: CLIP-L and its tokenizer.
        text_encoder_2, tokenizer_2: CLIP-G and its tokenizer.
        text_encoder_3, tokenizer_3: T5-XXL and its tokenizer; without both, zeros are in the place of its
            states, as in training.
    """

    text_encoder: CLIPTextModelWithProjection
    text_encoder_2: CLIPTextModelWithProjection
    text_encoder_3: T5EncoderModel | None
    tokenizer: CLIPTokenizer
    tokenizer_2: CLIPTokenizer
    tokenizer_3: T5Tokenizer | None

    own: ClassVar[tuple[str, ...]] = (".attn2",)

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """See `JointModel`."""
        named: dict[str, nn.Module] = {
            "text_encoder": self.text_encoder,
            "text_encoder_2": self.text_encoder_2,
        }
        return named if self.text_encoder_3 is None else {**named, "text_encoder_3": self.text_encoder_3}

    @property
    def joint_blocks(self) -> Blocks:
        """See `LatentDiffusion`. All: Shin et al. 2025 (arXiv:2508.07519) inject in all blocks of Stable
        Diffusion 3 and 3.5; which of them they read is not published."""
        return Blocks()

    # Prompts.

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`. Beside T5, CLIP reads the start of a long prompt only, as in training."""
        if self.tokenizer_3 is not None:
            return clip_and_t5.t5_tokens(self.tokenizer_3, prompt), _TOKENS
        return len(self.tokenizer(prompt, verbose=False).input_ids), _CLIP_TOKENS

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`. The tokens of CLIP, which both encoders of CLIP share; then those of T5."""
        clip = clip_and_t5.clip_tokenized(self.tokenizer, prompt, _CLIP_TOKENS)
        if self.tokenizer_3 is None:
            return clip._replace(further=(Tokenized([0] * _TOKENS, [(0, 0)] * _TOKENS, range(0)),))
        return clip._replace(further=(clip_and_t5.t5_tokenized(self.tokenizer_3, prompt, _TOKENS),))

    def _condition(self, prompt: str) -> Condition:
        """The states of both CLIPs beside each other, zeros up to T5's width; behind them T5's states."""
        width = self.transformer.config["joint_attention_dim"]
        clips = [
            self._clip(self.tokenizer, self.text_encoder, prompt),
            self._clip(self.tokenizer_2, self.text_encoder_2, prompt),
        ]
        states = torch.cat([states for states, _ in clips], dim=-1)
        states = F.pad(states, (0, width - states.shape[-1]))
        if self.text_encoder_3 is None or self.tokenizer_3 is None:
            more = states.new_zeros(1, _TOKENS, width)
        else:
            ids = clip_and_t5.t5_ids(self.tokenizer_3, prompt, _TOKENS)
            more = self.text_encoder_3(ids.to(self.device))[0].float()
        pooled = torch.cat([pooled for _, pooled in clips], dim=-1)
        return Condition(torch.cat([states, more], dim=1), parts={"pooled": pooled})

    def _clip(
        self, tokenizer: CLIPTokenizer, encoder: CLIPTextModelWithProjection, prompt: str
    ) -> tuple[Tensor, Tensor]:
        """The last but one hidden states [1, 77, d] and the projected pooled vector, float32."""
        ids = clip_and_t5.clip_ids(tokenizer, prompt, _CLIP_TOKENS).to(self.device)
        read = encoder(ids, output_hidden_states=True)
        return read.hidden_states[-2].float(), read.text_embeds.float()

    # The network.

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """See `JointModel`. The picture's tokens are before those of the text."""
        image = x.shape[-2] * x.shape[-1] // self.patch**2
        with self.attending(attend, text=(image, image + condition.states.shape[1]), image=(0, image)):
            return self.transformer(
                hidden_states=x,
                timestep=time * 1000.0,
                encoder_hidden_states=condition.states.to(self.computing),
                pooled_projections=condition.parts["pooled"].to(self.computing),
                return_dict=False,
            )[0]


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> StableDiffusion3:
    """Loads the model."""
    part = found_parts.Parts(found)
    config = None
    if not part["transformer"].is_dir():
        config = configurations(read_header(part["transformer"]))["transformer"]
    t5, t5_tokenizer = part.find("text_encoder_3"), part.find("tokenizer_3")
    third = None  # T5 and its tokenizer, where both are there
    if t5 is not None and t5_tokenizer is not None:
        third = clip_and_t5.t5(t5, dtype), clip_and_t5.t5_tokenizer(t5_tokenizer)
    clip = CLIPTextModelWithProjection
    return StableDiffusion3(
        id=id,
        digest=digest,
        transformer=parts.transformer(SD3Transformer2DModel, part["transformer"], dtype, config),
        autoencoder=found_parts.autoencoder(part["vae"], dtype, _LATENTS),
        text_encoder=clip_and_t5.clip(clip, part["text_encoder"], dtype, clip_and_t5.CLIP_L),
        text_encoder_2=clip_and_t5.clip(clip, part["text_encoder_2"], dtype, clip_and_t5.CLIP_G),
        text_encoder_3=third[0] if third else None,
        tokenizer=clip_and_t5.clip_tokenizer(part.find("tokenizer")),
        tokenizer_2=clip_and_t5.clip_tokenizer(part.find("tokenizer_2"), is_open=True),
        tokenizer_3=third[1] if third else None,
        scheduler=part.scheduler(_SHIFT),
        side=found.size,
        takes_guidance=found.takes_guidance,
        device=device,
        dtype=dtype,
    )


def configurations(header: Header) -> dict[str, dict[str, Any]]:
    """diffusers' configuration of the transformer in a file, in the authors' layout or in diffusers'."""
    prefix = next((p for p in parts.NETWORK_PREFIXES if f"{p}context_embedder.weight" in header.shapes), "")
    shapes = {name[len(prefix) :]: shape for name, shape in header.shapes.items() if name.startswith(prefix)}
    theirs = "x_embedder.proj.weight" in shapes
    if theirs:
        blocks, second = "joint_blocks.", "x_block.attn2."
        embedder, table, pooled, last = (
            "x_embedder.proj.weight",
            "pos_embed",
            "y_embedder.mlp.0.weight",
            "final_layer.linear.weight",
        )
        norm = "joint_blocks.0.x_block.attn.ln_q.weight"
    else:
        blocks, second = "transformer_blocks.", "attn2."
        embedder, table, pooled, last = (
            "pos_embed.proj.weight",
            "pos_embed.pos_embed",
            "time_text_embed.text_embedder.linear_1.weight",
            "proj_out.weight",
        )
        norm = "transformer_blocks.0.attn.norm_q.weight"
    width, channels, patch, _ = shapes[embedder]
    projection, joint = shapes["context_embedder.weight"]
    head = shapes[norm][0] if norm in shapes else _HEAD
    own = {int(name.split(".")[1]) for name in shapes if name.startswith(blocks) and f".{second}" in name}
    config = {
        "sample_size": 128,
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": shapes[last][0] // patch**2,
        "num_layers": len({name.split(".")[1] for name in shapes if name.startswith(blocks)}),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": joint,
        "caption_projection_dim": projection,
        "pooled_projection_dim": shapes[pooled][1],
        "pos_embed_max_size": math.isqrt(shapes[table][1]),
        "dual_attention_layers": sorted(own),
        "qk_norm": "rms_norm" if norm in shapes else None,
    }
    return {"transformer": config}
