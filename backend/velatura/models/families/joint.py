"""The base of all families whose network is a transformer over the tokens of prompt and picture at once.

It has what these families share: tokens and their positions, the shift of noise levels by the picture's size,
guidance as an input, reference pictures, and attention that a call can replace (`joint_attention`).
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from velatura.attention.joint import Blocks
from velatura.attention.places import Attend
from velatura.cache.keys import tensor_digest
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import FLOW
from velatura.models import noise_levels
from velatura.models.latent import LatentModel
from velatura.weights import precision
from velatura_protocol.errors import VelaturaError

from . import skipping
from .joint_attention import Held, Rows

_Self = TypeVar("_Self", bound="JointModel")
Shift = Callable[[np.ndarray], np.ndarray]
"""See `noise_levels.flow_sigmas`."""


@dataclass(kw_only=True, eq=False)
class JointModel(LatentModel):
    """A flow model on its device, whose network is a transformer with joint attention.

    A family is a subclass: a dataclass with its text encoders and tokenizers, `encoders`, `_condition`,
    `tokens_of`, `tokenized` and `velocity`.

    Args:
        id: of the model's entry.
        digest: of its weights.
        transformer, autoencoder: the networks.
        scheduler: diffusers' configuration of FlowMatchEulerDiscreteScheduler.
        side: of the square pictures it was trained on, in pixels.
        device, dtype: of the networks; the autoencoder may have another dtype.
        guidance: the scale that the network gets as its input (`at_guidance`).
        references: latents of the reference pictures, each [1, C, h, w] (`referring`).
        takes_guidance: see `LatentDiffusion`.
        steps: of a run, on which the noise levels of some schedules depend (`for_steps`).
    """

    id: str
    digest: str
    transformer: ModelMixin
    autoencoder: Any
    scheduler: Mapping[str, Any]
    side: int
    device: torch.device
    dtype: torch.dtype
    guidance: float = 1.0
    references: tuple[Tensor, ...] = ()
    takes_guidance: bool = True
    steps: int = 0
    prediction: str = FLOW
    guidance_rescale: float = 0.0
    training_sigmas: np.ndarray = field(init=False)
    held: Held = field(init=False)
    _prompts: OrderedDict[str, Condition] = field(default_factory=OrderedDict)

    denoiser: ClassVar[str] = "transformer"
    patch: ClassVar[int] = 2
    """The side of a token in latent pixels."""
    plain: ClassVar[tuple[str, ...]] = ()
    """See `Held`."""
    own: ClassVar[tuple[str, ...]] = ()
    """See `Held`."""
    caches: ClassVar[bool] = False
    """Whether diffusers' first-block cache fits its blocks (`skipping`)."""

    def __post_init__(self) -> None:
        self.held = Held(self.transformer, self.level, plain=self.plain, own=self.own)
        self.training_sigmas = self.sigmas_for(self.latent_size, self.latent_size)
        self.place()

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """Its text encoders, by their names in a diffusers folder."""
        raise NotImplementedError

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Its networks, by their names in a diffusers folder."""
        return {"transformer": self.transformer, "vae": self.autoencoder, **self.encoders}

    @property
    def level(self) -> int:
        """How often the latent is halved to the grid of tokens."""
        return int(math.log2(self.patch))

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """See `LatentDiffusion`."""
        return (self.level,)

    @property
    def joint_blocks(self) -> Blocks:
        """See `LatentDiffusion`. A family that chooses says where its choice is from."""
        return Blocks()

    @property
    def multiple(self) -> int:
        """The number of pixels that the sides of pictures must be multiples of."""
        return self.factor * self.patch

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]."""
        return int(self.autoencoder.config["latent_channels"])

    @property
    def latent_size(self) -> int:
        """Side of the square latents it was trained on."""
        return self.side // self.factor

    # Copies that share all weights.

    def changed(self: _Self, addition: str, **fields: Any) -> _Self:
        """A copy that shares the networks, with other fields and a digest that names the change."""
        other = copy.copy(self)
        other.digest = f"{self.digest} {addition}"
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    @property
    def embeds_guidance(self) -> bool:
        """See `LatentDiffusion`."""
        return bool(self.transformer.config.get("guidance_embeds"))

    def at_guidance(self: _Self, scale: float) -> _Self:
        """See `LatentDiffusion`."""
        if not self.embeds_guidance:
            super().at_guidance(scale)
        return self.changed(f"at guidance {scale!r}", guidance=scale)

    def referring(self: _Self, pictures: Sequence[Tensor]) -> _Self:
        """See `LatentDiffusion`."""
        if not self.most_references:
            super().referring(pictures)
        if not 0 < len(pictures) <= self.most_references:
            raise VelaturaError(
                "unknown-model",
                f"{self.id!r} takes {_count(self.most_references)}; choose as many, or another model.",
            )
        shown = [self.reference_picture(picture.to(self.device)) for picture in pictures]
        latents = tuple(self.encode(picture) for picture in shown)
        names = " ".join(tensor_digest(picture) for picture in shown)
        return self.changed(f"referring {names}", references=latents, _prompts=OrderedDict())

    def reference_picture(self, picture: Tensor) -> Tensor:
        """The reference picture [1, 3, h, w] at the size that the network gets: of about its own area, and of
        sides that are whole tokens."""
        height, width = picture.shape[-2:]
        scale = self.size / math.sqrt(height * width)
        sides = [max(1, round(side * scale / self.multiple)) * self.multiple for side in (height, width)]
        if sides == [height, width]:
            return picture
        resized = nn.functional.interpolate(picture, sides, mode="bicubic", antialias=True)
        return resized.clamp(-1.0, 1.0)

    # The shift of noise levels.

    def prepared(self: _Self, image: Tensor, mask: Tensor) -> _Self:
        """The model for a picture of this size, on which its noise levels may depend; see `Generator`."""
        if not self.scheduler.get("use_dynamic_shifting"):
            return self
        height, width = (side // self.factor for side in image.shape[-2:])
        return self.changed(f"for {height}x{width}", training_sigmas=self.sigmas_for(height, width))

    def for_steps(self: _Self, steps: int) -> _Self:
        """See `LatentDiffusion`."""
        other = self.changed(f"for {steps} steps", steps=steps)
        other.training_sigmas = other.sigmas_for(self.latent_size, self.latent_size)
        return self if np.array_equal(other.training_sigmas, self.training_sigmas) else other

    def sigmas_for(self, height: int, width: int) -> np.ndarray:
        """The training sigmas for latents of this size, float64 [T]."""
        return noise_levels.flow_sigmas(self.shift(height * width // self.patch**2))

    def shift(self, tokens: int) -> Shift:
        """The shift of the noise levels for a picture of so many tokens."""
        told = self.scheduler
        if not told.get("use_dynamic_shifting"):
            return noise_levels.static_shift(float(told.get("shift", 1.0)))
        mu = self.mu(tokens)
        # a linear shift is by mu itself
        is_linear = told.get("time_shift_type", "exponential") == "linear"
        return noise_levels.static_shift(mu) if is_linear else noise_levels.dynamic_shift(mu)

    def mu(self, tokens: int) -> float:
        """The logarithm of the shift, linear in the number of tokens (FLUX.1's and Qwen-Image's)."""
        told = self.scheduler
        low, high = float(told.get("base_shift", 0.5)), float(told.get("max_shift", 1.15))
        least, most = int(told.get("base_image_seq_len", 256)), int(told.get("max_image_seq_len", 4096))
        return low + (high - low) * (tokens - least) / (most - least)

    # The network.

    @property
    def computing(self) -> torch.dtype:
        """The dtype in which the transformer computes: float32 once its values have overflowed."""
        return torch.float32 if precision.is_wide(self.transformer) else self.dtype

    def predict(self, x: Tensor, t: float, condition: Condition, attend: Attend | None) -> Tensor:
        """See `LatentModel`. Gradients can be taken with respect to x and the condition's states."""
        time = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        return self.velocity(x.to(self.computing), time, condition, attend).float()

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """n - z as the transformer predicts it, [N, C, h, w] in its dtype.

        Args:
            x: (1 - t) z + t n [N, C, h, w] in its dtype.
            time: t in [0, 1], float32 [N].
            condition: of N rows.
            attend: to be passed to `attending`.
        """
        raise NotImplementedError

    def attending(self, attend: Attend | None, text: Rows, image: Rows) -> AbstractContextManager[None]:
        """The context in which `attend` replaces the transformer's attentions; see `Held.by`."""
        return self.held.by(attend, text, image)

    @property
    def can_skip(self) -> bool:
        """See `LatentDiffusion`. Guides add to blocks that the cache would not compute."""
        return self.caches and not self.guides

    def skipping(self, tolerance: float) -> AbstractContextManager[None]:
        """See `LatentDiffusion`."""
        return skipping.skipping(self.transformer, tolerance if self.can_skip else 0.0)

    def reference_tokens(self, n: int) -> Tensor | None:
        """The packed tokens of all reference pictures [n, L, C patch^2] in the network's dtype; None without
        any."""
        if not self.references:
            return None
        tokens = torch.cat([pack(z, self.patch) for z in self.references], dim=1)
        return tokens.to(self.device, self.computing).expand(n, -1, -1)

    def scales(self, n: int) -> Tensor | None:
        """The scale of guidance as the network's input, float32 [n]; None if it takes none."""
        return torch.full((n,), self.guidance, device=self.device) if self.embeds_guidance else None


def pack(x: Tensor, patch: int = 2) -> Tensor:
    """[N, C, h, w] as tokens [N, h w / patch^2, C patch^2], row by row."""
    n, channels, height, width = x.shape
    x = x.reshape(n, channels, height // patch, patch, width // patch, patch)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, channels * patch**2)


def unpack(tokens: Tensor, height: int, width: int, patch: int = 2) -> Tensor:
    """The inverse of `pack` for latents of this size. tokens: [N, h w / patch^2, C patch^2]."""
    n, _, channels = tokens.shape
    x = tokens.reshape(n, height // patch, width // patch, channels // patch**2, patch, patch)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(n, -1, height, width)


def positions(height: int, width: int, first: int = 0, axes: int = 3) -> Tensor:
    """The positions (first, row, column, 0 …) of a grid of tokens, float32 [height width, axes]."""
    ids = torch.zeros(height, width, axes)
    ids[..., 0] = first
    ids[..., 1] = torch.arange(height)[:, None]
    ids[..., 2] = torch.arange(width)
    return ids.reshape(height * width, axes)


def _count(most: int) -> str:
    return "one reference picture" if most == 1 else f"one to {most} reference pictures"
