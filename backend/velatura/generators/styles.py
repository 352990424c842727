"""A style-based generator: one code makes a picture, and moving the code edits it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .protocol import Generator

if TYPE_CHECKING:
    from torch import Tensor

STYLE = "style"
"""The kind of these generators (Karras et al. 2019, A Style-Based Generator Architecture)."""


class Made(NamedTuple):
    """A synthesised batch, with its gradient.

    Args:
        pictures: [N, 3, s, s] float32 in about [-1, 1], not clamped.
        features: of the synthesis' blocks, each [N, C_b, s_b, s_b], the smallest first.
    """

    pictures: Tensor
    features: list[Tensor]


class StyleGenerator(Generator, Protocol):
    """A StyleGAN2, or another generator with W+ and S spaces. Its pictures have one size, `size` squared.

    `encode` gives W+ codes [N, num_ws, w_dim] of pictures [N, 3, size, size] through the encoder of the
    model; it raises `unknown-model` where the model has none (`has_encoder`). `decode` gives the pictures of
    W+ codes.
    """

    @property
    def num_ws(self) -> int:
        """The number of layers that take a w of their own."""
        ...

    @property
    def w_dim(self) -> int:
        """The length of w."""
        ...

    @property
    def w_avg(self) -> Tensor:
        """The mean of w, [w_dim]."""
        ...

    @property
    def has_encoder(self) -> bool:
        """Whether `encode` works."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the classes of its segmentation branch, in a painter's words; () without one."""
        ...

    @property
    def convolutions(self) -> tuple[int, ...]:
        """The places in S of the convolutions; the others give colours only."""
        ...

    def sample(self, seeds: Sequence[int], psi: float = 1.0) -> Tensor:
        """W codes [N, w_dim], one a seed, truncated by psi: z (and label, where it has any) drawn from the
        model's own distribution, mapped. A seed's code does not depend on the batch."""
        ...

    def wplus(self, w: Tensor) -> Tensor:
        """w [N, w_dim] for every layer: [N, num_ws, w_dim]."""
        ...

    def styles(self, ws: Tensor) -> list[Tensor]:
        """S of W+: for each modulated convolution [N, C_l], with a gradient."""
        ...

    def synthesise(self, styles: Sequence[Tensor]) -> Made:
        """Pictures and features of S, with a gradient; the noise is always the stored one."""
        ...

    def for_search(self) -> StyleGenerator:
        """The generator for the steps of a search that follows a loss: it may round more than the generator
        does, where that is faster. What a search found is shown by the generator itself."""
        ...

    def segment(self, made: Made) -> Tensor:
        """Logits [N, K, s, s] of the K `parts`, with a gradient. Raises `unknown-model` without a branch."""
        ...

    def tuned(self) -> TunedGenerator:
        """A copy of the generator whose synthesis can be tuned to one picture."""
        ...


class TunedGenerator(StyleGenerator, Protocol):
    """A generator with weights of its own in the synthesis (Roich et al. 2022, Pivotal Tuning)."""

    def parameters(self) -> list[Tensor]:
        """The tuned weights; they take a gradient."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """The tuned weights by name, for keeping; `load_weights` takes them back."""
        ...

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Takes weights that `weights` gave. Raises ValueError for those of another network."""
        ...
