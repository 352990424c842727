"""A generator: a model that encodes pictures into a latent space and decodes them. One kind is diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DIFFUSION = "diffusion"
"""The kind of generator that methods need unless they say otherwise."""

PIXEL_DIFFUSION = "pixel-diffusion"
"""Diffusion in pixel space, without text."""


class Generator(Protocol):
    """A loaded generator of any kind, on its device. A class that derives from it inherits defaults for
    models that read no text and treat all pictures alike.

    Args:
        id: the id of the model's entry.
        digest: the digest of its weights.
        kind: `DIFFUSION`, or a name that a package chose.
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
        """The number of pixels that the sides of pictures must be multiples of."""
        ...

    @property
    def factor(self) -> int:
        """The side of one place of its latents in pixels; 1 if latents have no places."""
        return 1

    def encode(self, image: Tensor) -> Tensor:
        """E(x): pictures [N, 3, h, w] in [-1, 1] to latents, whose first dimension is N."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """D(z): latents to pictures [N, 3, h, w] float32 in [-1, 1]."""
        ...

    def excess(self, prompt: str) -> int:
        """The number of tokens at a prompt's end that it does not read; 0 for a model that reads no text."""
        return 0

    def check_prompt(self, prompt: str, name: str = "The prompt") -> None:
        """Raises `prompt-too-long` if the model does not read a text to its end. name: of the text."""
        if self.excess(prompt):
            raise VelaturaError("prompt-too-long", f"{name} is too long for this model; shorten it.")

    def prepared(self, image: Tensor, mask: Tensor) -> Generator:
        """The generator for an edit of this picture [1, 3, h, w] in [-1, 1] within this mask [1, 1, h, w] in
        [0, 1]. It is the generator itself, unless its networks take picture and mask as input, as those for
        inpainting do. Then its digest must depend on both, since the cache uses it in keys."""
        return self
