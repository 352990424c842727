"""A generator: a model that brings pictures into a space of its own and back. One kind is diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DIFFUSION = "diffusion"
"""The kind of generator that methods need unless they say otherwise."""


class Generator(Protocol):
    """A loaded generator of any kind, on its device. Classes that derive from it inherit what is the same for
    all that read no text and look at one picture as at every other.

    id, digest: of the model's entry and of its weights. kind: `DIFFUSION`, or the name that a package chose.
    device, dtype: of its networks; pictures and latents are float32.
    """

    id: str
    digest: str
    kind: ClassVar[str]
    device: torch.device
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """Side in pixels of the square pictures that it was trained on."""
        ...

    @property
    def multiple(self) -> int:
        """Sides of pictures have to be multiples of this, in pixels."""
        ...

    @property
    def factor(self) -> int:
        """Pixels a side of one place of its latents; 1 where latents have no places."""
        return 1

    def encode(self, image: Tensor) -> Tensor:
        """E(x): pictures [N, 3, h, w] in [-1, 1] to latents, of which the first dimension is N."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """D(z): latents to pictures [N, 3, h, w] float32 in [-1, 1]."""
        ...

    def excess(self, prompt: str) -> int:
        """How many tokens of a prompt it would not read; 0 if it reads all, or no text at all."""
        return 0

    def check_prompt(self, prompt: str, name: str = "The prompt") -> None:
        """Raises `prompt-too-long` if a text would not be read to its end. name: of the text."""
        if self.excess(prompt):
            raise VelaturaError("prompt-too-long", f"{name} is too long for this model; shorten it.")

    def prepared(self, image: Tensor, mask: Tensor) -> Generator:
        """The generator for an edit of this picture [1, 3, h, w] in [-1, 1] within this mask [1, 1, h, w] in
        [0, 1]: itself, unless its networks are told of both, as those trained for inpainting are. Such a one
        has a digest that names both too, since what it computes is remembered by it."""
        return self
