"""Kandinsky 2.2, an unCLIP: a prior imagines a picture's features from the words, a UNet draws from them.

Ramesh et al. 2022, Hierarchical Text-Conditional Image Generation with CLIP Latents (DALL-E 2),
arXiv:2204.06125; Razzhigaev et al. 2023, Kandinsky, arXiv:2310.03502. The UNet sees one row of features, and
no single words. Its inpainting checkpoint sees the mask too, which is the text-conditioned inpainting of
unCLIP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.vq_model import VQModel
from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_unclip import UnCLIPScheduler
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from velatura.attention.places import Attend
from velatura.cache.keys import tensor_digest
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Decoder, LatentDiffusion, Tokenized
from velatura.models.attention import level_of
from velatura.models.recognition import Found
from velatura.weights.json_files import read_object
from velatura_protocol.errors import VelaturaError

from . import clip_and_t5, folder_weights, found_parts, unet_files
from .further_channels import Beside
from .joint_attention import Held
from .unet import UNetModel

_STEPS, _GUIDANCE = 25, 4.0  # of the prior, as in its pipeline
_SEED = 0  # of the prior's noise
_PRIOR = {"prediction_type": "sample", "clip_sample_range": 5.0, "num_train_timesteps": 1000}
_LEVELS = {"beta_schedule": "linear", "beta_start": 0.00085, "beta_end": 0.012}


@dataclass(kw_only=True)
class Kandinsky2(UNetModel):
    """Kandinsky 2.2 on its device.

    Its condition is one row of features of a picture, as CLIP sees it. The prior samples it from noise of a
    fixed seed, so that the features of two prompts differ by their words alone.

    Args:
        autoencoder: the MoVQ.
        prior: gives the features for a text.
        image_encoder: CLIP's; without a text, the features are its of a black picture.
        prior_levels: diffusers' configuration of the prior's UnCLIPScheduler.
    """

    autoencoder: Any
    text_encoder: Any
    prior: PriorTransformer
    image_encoder: CLIPVisionModelWithProjection
    prior_levels: Mapping[str, Any]
    held: Held = field(init=False)

    def __post_init__(self) -> None:
        self.held = Held(self.unet, partial(level_of, self.unet), own=("attentions",))
        super().__post_init__()

    @property
    def networks(self) -> dict[str, nn.Module]:
        """See `UNetModel`."""
        further = {"prior": self.prior, "image_encoder": self.image_encoder}
        return {**super().networks, **further}

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]. The UNet gives a variance for each too, which is not used."""
        return int(self.autoencoder.config["latent_channels"])

    # The condition.

    def tokenized(self, prompt: str) -> Tokenized:
        """Raises `unknown-model`: its UNet sees no single words."""
        raise VelaturaError(
            "unknown-model",
            f"{self.id!r} reads a text as a whole, not word by word; choose another model or another method.",
        )

    def _condition(self, prompt: str) -> Condition:
        """The features, [1, 1, d]."""
        features = self._imagined(prompt) if prompt else self._of_nothing()
        return Condition(features.float()[:, None])

    def _of_nothing(self) -> Tensor:
        side = int(self.image_encoder.config.to_dict()["image_size"])
        return self.image_encoder(
            torch.zeros(1, 3, side, side, device=self.device).to(self.dtype)
        ).image_embeds

    def _imagined(self, prompt: str) -> Tensor:
        """The features [1, d] that the prior samples for a prompt."""
        read = self.tokenizer(
            ["", prompt], padding="max_length", max_length=self.prompt_tokens, return_tensors="pt"
        ).to(self.device)
        text = self.text_encoder(read.input_ids)
        scheduler: Any = UnCLIPScheduler.from_config(dict(self.prior_levels))
        scheduler.set_timesteps(_STEPS)
        generator = torch.Generator().manual_seed(_SEED)  # of the CPU: the same on every device
        x = torch.randn(1, self.prior.config["embedding_dim"], generator=generator)
        x = x.to(self.device, text.text_embeds.dtype)
        times = scheduler.timesteps.tolist()
        for t, before in zip(times, [*times[1:], None], strict=True):
            without, with_text = self.prior(
                torch.cat([x, x]),
                timestep=t,
                proj_embedding=text.text_embeds,
                encoder_hidden_states=text.last_hidden_state,
                attention_mask=read.attention_mask.bool(),
            ).predicted_image_embedding.chunk(2)
            predicted = without + _GUIDANCE * (with_text - without)
            x = scheduler.step(predicted, t, x, before, generator).prev_sample
        return self.prior.post_process_latents(x)

    # The UNet.

    def prepared(self, image: Tensor, mask: Tensor) -> Self:
        """See `UNetModel`. The picture is encoded whole and masked as latents, as in training."""
        if not self._sees_mask:
            return self
        inside = (mask >= 0.5).float()
        names = f"{tensor_digest(image)} {tensor_digest(inside)}"
        return self._with(f"for {names}", _beside=Beside(image, inside))

    def _masked(self, x: Tensor) -> Tensor:
        """[N, C + 1, h, w]: the latents of the picture where it is kept, and a map of where that is.

        A latent pixel is kept if neither it nor one beside it is in the selection, as in diffusers' pipeline.
        """
        inside, latents = super()._masked(x).split([1, self.latent_channels], dim=1)
        kept = 1.0 - F.max_pool2d(inside, 3, stride=1, padding=1)
        return torch.cat([latents * kept, kept], dim=1)

    def _pass(self, x: Tensor, t: float, condition: Condition, attend: Attend | None) -> Tensor:
        """See `UNetModel`. Attention is that of the picture to the features, spread over some tokens, and to
        itself in one softmax; for `attend` it is of the kind 'self', with further keys."""
        with self.held.by(attend):
            return super()._pass(x, t, condition, None)[:, : self.latent_channels]

    def unet_arguments(self, x: Tensor, condition: Condition) -> dict[str, Any]:
        """See `UNetModel`."""
        features = condition.states[:, 0].to(self.unet.dtype)
        return {"encoder_hidden_states": None, "added_cond_kwargs": {"image_embeds": features}}

    # The autoencoder, whose latents are neither scaled nor quantised.

    def _encode(self, image: Tensor) -> Tensor:
        return self.autoencoder.encode(self._laid_out(image)).latents.float()

    def _decode(self, z: Tensor) -> Tensor:
        return self.autoencoder.decode(self._laid_out(z), force_not_quantize=True).sample.float()

    def tunable_decoder(self) -> Decoder:
        """See `LatentDiffusion`: none, for its normalisation reads the latents too."""
        return LatentDiffusion.tunable_decoder(self)


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Kandinsky2:
    """Loads a folder."""
    part = found_parts.Parts(found)
    beside = part["prior"].parent
    own = part.find("tokenizer") or beside / "tokenizer"
    return Kandinsky2(
        id=id,
        digest=digest,
        unet=folder_weights.network(UNet2DConditionModel, part["unet"], dtype),
        autoencoder=folder_weights.network(VQModel, part["movq"], dtype),
        text_encoder=folder_weights.encoder(CLIPTextModelWithProjection, part["text_encoder"], dtype),
        image_encoder=folder_weights.encoder(CLIPVisionModelWithProjection, part["image_encoder"], dtype),
        prior=folder_weights.network(PriorTransformer, part["prior"], dtype),
        tokenizer=clip_and_t5.clip_tokenizer(own if own.is_dir() else None, is_open=True),
        prior_levels=_scheduler(beside) or _PRIOR,
        device=device,
        dtype=dtype,
        **unet_files.levels(part.scheduler(_LEVELS), found.path.name),
    )


def _scheduler(folder: Path) -> dict[str, Any]:
    """The configuration of the scheduler in a folder; {} without one."""
    file = folder / "scheduler" / "scheduler_config.json"
    found = read_object(file) if file.is_file() else {}
    return found if found.get("_class_name") == "UnCLIPScheduler" else {}
