"""The interface of a diffusion model to the editing mathematics, which imports no model."""

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

    Args:
        ids: of all L tokens.
        offsets: the characters [start, end) of the prompt that each token was read from; (0, 0) for none.
        content: the indices of the tokens that come from the prompt. The start mark is before them; the end
            mark and the padding are behind them.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    content: range


class Network(Protocol):
    """The part of a model that denoising needs."""

    training_sigmas: np.ndarray
    """The noise levels that it was trained at, increasing, float64 [T]."""
    prediction: str
    """The type of its prediction: 'epsilon', 'v_prediction' or 'sample'."""
    guidance_rescale: float
    """phi of `denoiser.guide`."""

    def network(self, x: Tensor, t: float, condition: Condition, attend: Attend | None = None) -> Tensor:
        """F(x, t, c) [N, C, h, w] float32.

        Args:
            x: [N, C, h, w] float32 of unit variance.
            t: the training time, in [0, T-1].
            condition: of N rows.
            attend: replaces every attention in this one call; None: plain attention.
        """
        ...

    def encode_prompt(self, prompt: str) -> Condition:
        """The condition of a text, one row. Raises `prompt-too-long`."""
        ...


class LatentDiffusion(Network, Generator, Protocol):
    """The part of a model that editing pictures needs."""

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

    def decode_through(self, z: Tensor) -> Tensor:
        """As `decode`, but differentiable, and not bounded to [-1, 1]: for losses of the picture."""
        ...

    def tokenized(self, prompt: str) -> Tokenized:
        """The prompt as `encode_prompt` reads it; token j is row j of the condition's states. The prompt must
        pass `check_prompt`."""
        ...
