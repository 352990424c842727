"""What the editing mathematics knows of a diffusion model. The models themselves stand above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from velatura.generators.protocol import Generator

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from velatura.attention.places import Attend

    from .condition import Condition


class Tokenized(NamedTuple):
    """A prompt as its text encoder reads it, L tokens.

    ids: of all L. offsets: the characters [start, end) of the prompt that each token was read from, (0, 0)
    where it was read from none. content: the indices of the tokens that come from the prompt; before them
    stands the mark of the beginning, behind them that of the end, then padding.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    content: range


class Network(Protocol):
    """What is needed of a model to denoise with it."""

    training_sigmas: np.ndarray
    """The noise levels that it was trained at, increasing, float64 [T]."""
    prediction: str
    """What it predicts: 'epsilon', 'v_prediction' or 'sample'."""
    guidance_rescale: float
    """phi of `denoiser.guide`."""

    def network(self, x: Tensor, t: float, condition: Condition, attend: Attend | None = None) -> Tensor:
        """F: x [N, C, h, w] of unit variance, t a training time, a condition of N rows; float32 in and out.
        attend: asked at every attention of this one call."""
        ...

    def encode_prompt(self, prompt: str) -> Condition:
        """The condition of a text, one row. Raises `prompt-too-long`."""
        ...


class LatentDiffusion(Network, Generator, Protocol):
    """What is needed of a model to edit pictures with it."""

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]."""
        ...

    @property
    def latent_size(self) -> int:
        """Side of the square latents that it was trained on."""
        ...

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """The levels at which it attends to the prompt: 0 sees the latent as it is, 1 halved once, and so on
        (`velatura.attention.places`)."""
        ...

    def tokenized(self, prompt: str) -> Tokenized:
        """The prompt as `encode_prompt` reads it; token j is row j of the condition's states. The prompt has
        to be one that `check_prompt` lets pass."""
        ...
