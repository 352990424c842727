"""The part that Stable Diffusion and Stable Diffusion XL share: a UNet, conditioned by CLIP."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.attention.places import Attend
from velatura.cache.keys import tensor_digest
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.network import Bottleneck, LatentDiffusion, Tokenized
from velatura_protocol.errors import VelaturaError

from ..adapting import bottleneck
from ..attention import attention_levels, hold
from ..clip_tokens import tokenized
from ..latent import LatentModel
from .further_channels import Beside

_EMBEDDED_GUIDANCE = 8.5  # the default of diffusers' pipeline of latent consistency models
_PICTURE_GUIDANCE = 1.5  # s_I in the paper of InstructPix2Pix, and the default of its pipeline


@dataclass(kw_only=True)
class UNetModel(LatentModel):
    """A model on its device: a UNet that denoises latents of an autoencoder, conditioned by CLIP's text
    encoder.

    A family is a subclass. Its `_condition` gives the condition of a prompt, and its `unet_arguments` passes
    the condition to the UNet; the editing code does not change. The UNet may see further channels beside the
    latents: those of a mask and of the picture outside of it (inpainting), or those of a reference picture
    (InstructPix2Pix).

    Args:
        id: of the model's entry.
        digest: of its weights.
        unet, autoencoder, text_encoder, tokenizer: the networks, and the text encoder's tokenizer.
        training_sigmas: the noise levels it was trained at, increasing, float64 [T].
        prediction: 'epsilon', 'v_prediction' or 'sample'.
        guidance_rescale: phi of `denoiser.guide`.
        device, dtype: of the networks; the autoencoder may have another dtype.
        clip_skip: the number of the text encoders' last layers that are left out; None: as the family has it.
        takes_guidance: see `LatentDiffusion`.
    """

    id: str
    digest: str
    unet: UNet2DConditionModel
    autoencoder: AutoencoderKL | AutoencoderTiny
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    training_sigmas: np.ndarray
    prediction: str
    guidance_rescale: float
    device: torch.device
    dtype: torch.dtype
    clip_skip: int | None = None
    takes_guidance: bool = True
    _prompts: OrderedDict[str, Condition] = field(default_factory=OrderedDict)
    _guidance: float = _EMBEDDED_GUIDANCE
    _picture_guidance: float = _PICTURE_GUIDANCE
    _beside: Beside = field(default_factory=Beside)

    def __post_init__(self) -> None:
        hold(self.unet)
        self.place()

    def _with(self, addition: str, **fields: Any) -> Self:
        """A copy that shares all weights and prompts. addition: to its digest."""
        made = copy.copy(self)
        for name, value in fields.items():
            setattr(made, name, value)
        made.digest = f"{self.digest} {addition}"
        return made

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Its networks, by their names in a diffusers folder."""
        return {"unet": self.unet, "vae": self.autoencoder, "text_encoder": self.text_encoder}

    @property
    def multiple(self) -> int:
        """The number of pixels that the sides of pictures must be multiples of."""
        return self.factor * 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]: its output channels; its input may have more."""
        return self.unet.config["out_channels"]

    @property
    def latent_size(self) -> int:
        """Side of the square latents it was trained on."""
        side = self.unet.config["sample_size"] or 64
        return int(side if isinstance(side, int) else min(side))

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """See `LatentDiffusion`."""
        return attention_levels(self.unet)

    def bottleneck(self, change: Bottleneck) -> AbstractContextManager[None]:
        """See `LatentDiffusion`."""
        return bottleneck(self.unet, change)

    @property
    def embeds_guidance(self) -> bool:
        """See `LatentDiffusion`. Latent consistency models do (Luo et al. 2023, arXiv:2310.04378, eq. 13)."""
        return self.unet.config["time_cond_proj_dim"] is not None

    def at_guidance(self, scale: float) -> LatentDiffusion:
        """See `LatentDiffusion`. Without it the scale is 8.5."""
        if not self.embeds_guidance:
            return super().at_guidance(scale)
        return self._with(f"at guidance {scale:g}", _guidance=scale)

    @property
    def _further(self) -> int:
        """The number of channels that the UNet sees beside the latents."""
        return self.unet.config["in_channels"] - self.latent_channels

    @property
    def _sees_mask(self) -> bool:
        return self._further == self.latent_channels + 1

    def prepared(self, image: Tensor, mask: Tensor) -> Self:
        """See `Generator`. An inpainting network sees the mask, and the picture where that is below 0.5."""
        if not self._sees_mask:
            return self
        inside = (mask >= 0.5).float()
        outside = image * (1.0 - inside)
        beside = Beside(outside, inside)
        return self._with(f"for {tensor_digest(outside)} {tensor_digest(inside)}", _beside=beside)

    @property
    def most_references(self) -> int:
        """See `LatentDiffusion`: 1 for InstructPix2Pix."""
        return int(self._further == self.latent_channels)

    def referring(self, pictures: Sequence[Tensor]) -> LatentDiffusion:
        """See `LatentDiffusion`. The picture is seen at the size of the latents that are denoised."""
        if not self.most_references:
            return super().referring(pictures)
        if len(pictures) != 1:
            raise VelaturaError(
                "unknown-model",
                f"{self.id!r} takes one picture, not {len(pictures)}; choose one, or another model.",
            )
        return self._with(f"of {tensor_digest(pictures[0])}", _beside=Beside(pictures[0]))

    @property
    def picture_guidance(self) -> float | None:
        """See `LatentDiffusion`."""
        return self._picture_guidance if self.most_references else None

    def at_picture_guidance(self, scale: float) -> LatentDiffusion:
        """See `LatentDiffusion`."""
        if not self.most_references:
            return super().at_picture_guidance(scale)
        return self._with(f"at picture guidance {scale:g}", _picture_guidance=scale)

    @property
    def prompt_tokens(self) -> int:
        """The largest number of tokens that it reads, including the start mark and the end mark."""
        return min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`."""
        return len(self.tokenizer(prompt, verbose=False).input_ids), self.prompt_tokens

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`."""
        return tokenized(self.tokenizer, prompt, self.prompt_tokens)

    def read(self, prompt: str, tokenizer: CLIPTokenizer) -> Tensor:
        """The prompt's tokens, padded to the number that the model reads: int64 [1, L]."""
        tokens = tokenizer(prompt, padding="max_length", max_length=self.prompt_tokens, return_tensors="pt")
        return tokens.input_ids.to(self.device)

    def predict(self, x: Tensor, t: float, condition: Condition, attend: Attend | None) -> Tensor:
        """The UNet's prediction, float32 [N, C, h, w].

        This operation does not switch to inference mode itself: the caller may need gradients with respect to
        the condition's states (null-text inversion).

        With a reference picture I it is F(c, I) + (s_I - 1) (F(0, I) - F(0, 0)), 0 being no text and no
        picture. Classifier-free guidance by s_T then gives eq. 3 of Brooks et al. 2023 (InstructPix2Pix,
        arXiv:2211.09800), for its summands of s_I do not depend on the text.

        Args:
            x: [N, C, h, w] float32 of unit variance.
            t: the training time.
            condition: of N rows.
            attend: replaces every attention in this call; None: plain attention.
        """
        if not self._further:
            return self._pass(x, t, condition, attend)
        if self._sees_mask:
            return self._pass(torch.cat([x, self._masked(x)], 1), t, condition, attend)
        shown = self._shown(x)
        if self._beside.image is None or self._picture_guidance == 1.0:
            return self._pass(torch.cat([x, shown], 1), t, condition, attend)
        return self._guided_by_picture(x, t, condition, attend, shown)

    def _guided_by_picture(
        self, x: Tensor, t: float, condition: Condition, attend: Attend | None, shown: Tensor
    ) -> Tensor:
        """See `predict`. Rows of equal x share the two further predictions, and a row without text serves as
        one of them: classifier-free guidance costs three rows, as in the pipeline."""
        empty = self.encode_prompt("")
        first = [next(j for j in range(i + 1) if x[j].equal(x[i])) for i in range(len(x))]
        without_text = {first[i]: i for i in range(len(x)) if condition.states[i].equal(empty.states[0])}
        different = sorted(set(first))
        lacking = [j for j in different if j not in without_text]
        further = torch.cat(
            [torch.cat([x[lacking], shown[lacking]], 1), torch.cat([x[different], 0.0 * shown[different]], 1)]
        )
        own, empties = torch.cat([x, shown], 1), empty.expand(len(further))
        if attend is None:
            both = self._pass(torch.cat([own, further]), t, cat([condition, empties]), None)
            F_c, F_further = both[: len(x)], both[len(x) :]
        else:  # it expects the rows of the condition that it was given
            F_c = self._pass(own, t, condition, attend)
            F_further = self._pass(further, t, empties, None)
        F_I = {j: F_further[n] for n, j in enumerate(lacking)} | {j: F_c[i] for j, i in without_text.items()}
        F_0 = dict(zip(different, F_further[len(lacking) :], strict=True))
        return F_c + (self._picture_guidance - 1.0) * torch.stack([F_I[j] - F_0[j] for j in first])

    def _masked(self, x: Tensor) -> Tensor:
        """[N, 1 + C, h, w]: the mask, and the latents of the picture outside of it. Without a picture all is
        inside."""
        return self._beside.at(x.shape[-2:], self.factor, self.encode).expand(len(x), -1, -1, -1)

    def _shown(self, x: Tensor) -> Tensor:
        """[N, C, h, w]: the latents of the reference picture, not scaled as those that are denoised are;
        without one zeros, as for a lack of it in training."""
        if self._beside.image is None:
            return torch.zeros_like(x)
        latents = self._beside.at(x.shape[-2:], self.factor, self._encoded)
        return latents.expand(len(x), -1, -1, -1)

    def _encoded(self, image: Tensor) -> Tensor:
        """The latents of a picture as the autoencoder gives them."""
        return self._unscaled(self.encode(image))

    def _pass(self, x: Tensor, t: float, condition: Condition, attend: Attend | None) -> Tensor:
        """One pass of the UNet over its whole input x [N, C + further channels, h, w]."""
        arguments = self.unet_arguments(x, condition)
        x = x.to(self.unet.dtype, memory_format=torch.channels_last)
        time = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        if attend is not None:
            arguments["cross_attention_kwargs"] = {"attend": attend}
        return self.unet(x, time, return_dict=False, **arguments)[0].float()

    def unet_arguments(self, x: Tensor, condition: Condition) -> dict[str, Any]:
        """The UNet's keyword arguments for an input x [N, C + further channels, h, w]."""
        arguments: dict[str, Any] = {"encoder_hidden_states": condition.states.to(self.unet.dtype)}
        if condition.valid is not None:
            arguments["encoder_attention_mask"] = condition.valid
        if self.embeds_guidance:
            arguments["timestep_cond"] = self._embedded_guidance(x)
        return arguments

    def _embedded_guidance(self, x: Tensor) -> Tensor:
        """The embedding of w = scale - 1 that latent consistency models get, [N, d]."""
        w = torch.full((len(x),), 1000.0 * (self._guidance - 1.0), device=x.device)
        return get_timestep_embedding(w, self.unet.config["time_cond_proj_dim"]).to(self.unet.dtype)
