"""Chroma: FLUX.1 schnell without its modulation layers and without CLIP, with classifier-free guidance.

Lodestone Rock 2025, Chroma (model card of Chroma1-HD). The transformer's blocks are FLUX.1's; one small
network computes all their modulations from the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.transformers.transformer_chroma import ChromaTransformer2DModel
from torch import Tensor, nn
from transformers import T5EncoderModel, T5Tokenizer

from velatura.attention.joint import Blocks
from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized
from velatura.models.headers import Header, read_header
from velatura.models.recognition import Found

from . import clip_and_t5, flux1, flux1_names, found_parts, parts
from .joint import JointModel, pack, positions, unpack

LONGEST = 512
"""Tokens of a prompt, with the end mark."""
_LEVELS = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}  # of a file, as of FLUX.1


@dataclass(kw_only=True, eq=False)
class Chroma(JointModel):
    """A Chroma on its device.

    Args:
        text_encoder, tokenizer: T5-XXL and its tokenizer.
    """

    text_encoder: T5EncoderModel
    tokenizer: T5Tokenizer

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """See `JointModel`."""
        return {"text_encoder": self.text_encoder}

    @property
    def joint_blocks(self) -> Blocks:
        """See `LatentDiffusion`. The choice is that for FLUX.1, from which the blocks are."""
        return flux1.chosen_blocks(self.held.names)

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`."""
        return clip_and_t5.t5_tokens(self.tokenizer, prompt), LONGEST

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`. One token of padding is read too."""
        return clip_and_t5.t5_tokenized(self.tokenizer, prompt, self._length(prompt))

    def _length(self, prompt: str) -> int:
        """The number of tokens that the transformer reads of a prompt.

        They are the prompt's and one of padding, as in training; all further ones are masked, and so they
        are left out here.
        """
        return min(LONGEST, clip_and_t5.t5_tokens(self.tokenizer, prompt) + 1)

    def _condition(self, prompt: str) -> Condition:
        length = self._length(prompt)
        read = self.tokenizer(prompt, padding="max_length", max_length=length, return_tensors="pt")
        read = read.to(self.device)
        # T5 does not attend to the padding, in contrast to FLUX.1's
        return Condition(self.text_encoder(read.input_ids, attention_mask=read.attention_mask)[0].float())

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """See `JointModel`."""
        n, _, height, width = x.shape
        rows, columns = height // self.patch, width // self.patch
        text, image = condition.states.shape[1], rows * columns
        # bool: diffusers' pipelines give numbers, which attention adds to its logits instead
        valid = condition.valid
        mask = None if valid is None else torch.cat([valid, valid.new_ones(n, image)], dim=1)
        with self.attending(attend, text=(0, text), image=(text, text + image)):
            out = self.transformer(
                hidden_states=pack(x, self.patch),
                timestep=time,
                encoder_hidden_states=condition.states.to(self.computing),
                txt_ids=torch.zeros(text, 3, device=x.device),
                img_ids=positions(rows, columns).to(x.device),
                attention_mask=mask,
                return_dict=False,
            )[0]
        return unpack(out, height, width, self.patch)


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Chroma:
    """Loads the model."""
    part = found_parts.Parts(found)
    path = part["transformer"]
    config = None if path.is_dir() else configurations(read_header(path))["transformer"]
    return Chroma(
        id=id,
        digest=digest,
        transformer=parts.transformer(ChromaTransformer2DModel, path, dtype, config, flux1_names.converted),
        autoencoder=found_parts.autoencoder(part["vae"], dtype, flux1.LATENTS),
        text_encoder=clip_and_t5.t5(part["text_encoder"], dtype),
        tokenizer=clip_and_t5.t5_tokenizer(part["tokenizer"]),
        scheduler=part.scheduler(_LEVELS),
        side=found.size,
        takes_guidance=found.takes_guidance,
        device=device,
        dtype=dtype,
    )


def configurations(header: Header) -> dict[str, dict[str, Any]]:
    """diffusers' configuration of the transformer in a file, in the authors' layout or in diffusers'."""
    return {"transformer": flux1_names.chroma_configuration(header)}
