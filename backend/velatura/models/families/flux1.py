"""FLUX.1: dev and its children (Krea), schnell, Fill (inpainting) and Kontext (instructions).

The transformer reads T5's states beside the picture's tokens, and the pooled vector of CLIP-L. dev, Fill and
Kontext get the scale of guidance as an input, schnell does without guidance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from velatura.attention.joint import Blocks
from velatura.attention.places import Attend
from velatura.cache.keys import tensor_digest
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized
from velatura.models.headers import Header, read_header
from velatura.models.recognition import Found
from velatura.models.traits import INSTRUCTS

from . import clip_and_t5, flux1_names, found_parts, parts
from .joint import JointModel, pack, positions, unpack

_TOKENS = 512  # of T5, in the training of dev and its children
_SCHNELL_TOKENS = 256
_CLIP_TOKENS = 77
_DYNAMIC = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}
_SCHNELL = {"use_dynamic_shifting": False, "shift": 1.0}
LATENTS = {"scaling_factor": 0.3611, "shift_factor": 0.1159}
"""Of the autoencoder, in a file."""

# Of the 19 blocks of two streams, "d", and the 38 of one stream, "s". Injected are those without which
# pictures change most (Avrahami et al. 2025, Stable Flow, arXiv:2411.14430): in them alone, a picture keeps
# its layout and is still free to change. Read are the later ones of two streams, whose maps are sharpest
# (Helbling et al. 2025, ConceptAttention, arXiv:2502.04320).
_INJECTED = {"d": (0, 1, 17, 18), "s": (6, 9, 34, 35, 37)}
_READ = {"d": range(10, 19)}


@dataclass(kw_only=True, eq=False)
class Flux1(JointModel):
    """A FLUX.1 on its device.

    Args:
        text_encoder, tokenizer: CLIP-L and its tokenizer.
        text_encoder_2, tokenizer_2: T5-XXL and its tokenizer.
        instructs: whether it is Kontext, whose prompts are instructions about one reference picture.
        beside: of Fill, the tokens [1, L, C patch^2 + 256] of the picture outside of the mask and the mask.
    """

    text_encoder: CLIPTextModel
    text_encoder_2: T5EncoderModel
    tokenizer: CLIPTokenizer
    tokenizer_2: T5Tokenizer
    instructs: bool = False
    beside: Tensor | None = None

    caches: ClassVar[bool] = True

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """See `JointModel`."""
        return {"text_encoder": self.text_encoder, "text_encoder_2": self.text_encoder_2}

    @property
    def most_references(self) -> int:
        """See `LatentDiffusion`."""
        return 1 if self.instructs else 0

    @property
    def joint_blocks(self) -> Blocks:
        """See `LatentDiffusion`."""
        return chosen_blocks(self.held.names)

    # Prompts.

    @property
    def prompt_tokens(self) -> int:
        """The number of tokens that T5 reads, including the end mark."""
        return _TOKENS if self.embeds_guidance else _SCHNELL_TOKENS

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`. CLIP reads the start of a long prompt only, as in the model's training."""
        return clip_and_t5.t5_tokens(self.tokenizer_2, prompt), self.prompt_tokens

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`. The tokens are those of T5."""
        return clip_and_t5.t5_tokenized(self.tokenizer_2, prompt, self.prompt_tokens)

    def _condition(self, prompt: str) -> Condition:
        ids = clip_and_t5.t5_ids(self.tokenizer_2, prompt, self.prompt_tokens)
        states = self.text_encoder_2(ids.to(self.device))[0]
        ids = clip_and_t5.clip_ids(self.tokenizer, prompt, _CLIP_TOKENS)
        pooled = self.text_encoder(ids.to(self.device)).pooler_output
        return Condition(states.float(), parts={"pooled": pooled.float()})

    # Inpainting.

    @property
    def _sees_mask(self) -> bool:
        """Whether it is Fill."""
        return self.transformer.config["in_channels"] > 2 * self.latent_channels * self.patch**2

    @torch.inference_mode()
    def prepared(self, image: Tensor, mask: Tensor) -> Self:
        """See `JointModel`. Fill sees the mask, and the picture where the mask is below 0.5."""
        prepared = super().prepared(image, mask)
        if not self._sees_mask:
            return prepared
        beside = self._beside(image, (mask >= 0.5).float())
        return prepared.changed(f"outside of {tensor_digest(beside)}", beside=beside)

    def _beside(self, image: Tensor, inside: Tensor) -> Tensor:
        """The tokens that Fill sees beside the latents. image: [1, 3, h, w]; inside: [1, 1, h, w], 0 or 1."""
        outside = pack(self.encode(image * (1.0 - inside)), self.patch)
        every = F.pixel_unshuffle(inside.to(outside), self.factor)  # each pixel of the mask as a channel
        return torch.cat([outside, pack(every, self.patch)], dim=-1)

    # The network.

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """See `JointModel`."""
        n, _, height, width = x.shape
        tokens, rows, columns = pack(x, self.patch), height // self.patch, width // self.patch
        ids = positions(rows, columns)
        if self._sees_mask:
            tokens = torch.cat([tokens, self._seen_beside(height, width).expand(n, -1, -1)], dim=-1)
        if (shown := self.reference_tokens(n)) is not None:
            sizes = (z.shape[-2:] for z in self.references)
            grids = [positions(h // self.patch, w // self.patch, first=1) for h, w in sizes]
            tokens, ids = torch.cat([tokens, shown], dim=1), torch.cat([ids, *grids])
        text, image = condition.states.shape[1], rows * columns
        with self.attending(attend, text=(0, text), image=(text, text + image)):
            out = self.transformer(
                hidden_states=tokens,
                timestep=time,
                guidance=self.scales(n),
                pooled_projections=condition.parts["pooled"].to(self.computing),
                encoder_hidden_states=condition.states.to(self.computing),
                txt_ids=torch.zeros(text, 3, device=x.device),
                img_ids=ids.to(x.device),
                return_dict=False,
            )[0]
        return unpack(out[:, :image], height, width, self.patch)

    def _seen_beside(self, height: int, width: int) -> Tensor:
        """The tokens beside latents of this size; those of an empty picture before `prepared`."""
        if self.beside is None:
            sides = height * self.factor, width * self.factor
            empty = torch.zeros(1, 3, *sides, device=self.device)
            self.beside = self._beside(empty, torch.ones(1, 1, *sides, device=self.device))
        return self.beside.to(self.computing)


def chosen_blocks(attentions: Iterable[str]) -> Blocks:
    """The blocks for edits of a transformer with attentions of these names; one of another depth than
    FLUX.1's has no choice of its own."""
    if frozenset(attentions) != _names({"d": range(19), "s": range(38)}):
        return Blocks()
    return Blocks(_names(_INJECTED), _names(_READ))


def _names(blocks: Mapping[str, Iterable[int]]) -> frozenset[str]:
    """The names of their attentions."""
    folders = {"d": "transformer_blocks", "s": "single_transformer_blocks"}
    return frozenset(f"{folders[kind]}.{i}.attn" for kind, numbers in blocks.items() for i in numbers)


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Flux1:
    """Loads the model."""
    part = found_parts.Parts(found)
    config = None
    if not part["transformer"].is_dir():
        config = configurations(read_header(part["transformer"]))["transformer"]
    transformer = parts.transformer(
        FluxTransformer2DModel, part["transformer"], dtype, config, flux1_names.converted
    )
    autoencoder = found_parts.autoencoder(part["vae"], dtype, LATENTS)
    is_guided = transformer.config["guidance_embeds"]
    return Flux1(
        id=id,
        digest=digest,
        transformer=transformer,
        autoencoder=autoencoder,
        text_encoder=clip_and_t5.clip(CLIPTextModel, part["text_encoder"], dtype, clip_and_t5.CLIP_L),
        text_encoder_2=clip_and_t5.t5(part["text_encoder_2"], dtype),
        tokenizer=clip_and_t5.clip_tokenizer(part.find("tokenizer")),
        tokenizer_2=clip_and_t5.t5_tokenizer(part["tokenizer_2"]),
        scheduler=part.scheduler(_DYNAMIC if is_guided else _SCHNELL),
        side=found.size,
        takes_guidance=found.takes_guidance,
        guidance=3.5,
        instructs=INSTRUCTS in found.traits,
        device=device,
        dtype=dtype,
    )


def configurations(header: Header) -> dict[str, dict[str, Any]]:
    """diffusers' configuration of the transformer in a file, in the authors' layout or in diffusers'."""
    return {"transformer": flux1_names.configuration(header)}
