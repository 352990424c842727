"""One loaded VQ model: pictures to latents, latents to their nearest codes, codes to pictures."""

from __future__ import annotations

from typing import ClassVar

import torch
from diffusers.models.autoencoders.vq_model import VQModel
from torch import Tensor, nn

from velatura.generators.codes import VQ, CodeGenerator


class Quantised(CodeGenerator):
    """A VQ model on its device. All its operations but `decode` can take part in a gradient.

    Args:
        id: of the model's entry.
        digest: of its weights.
        network: diffusers' VQModel.
        size: side in pixels of the pictures that it was trained on.
        device, dtype: of the network; pictures and latents are float32.
    """

    kind: ClassVar[str] = VQ

    def __init__(
        self, id: str, digest: str, network: VQModel, size: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.id, self.digest, self.device, self.dtype = id, digest, device, dtype
        self._size = size
        self._network = network
        nn.Module.to(network, device).eval().requires_grad_(False)  # diffusers' `to` has no usable type
        self._codes = network.quantize.embedding.weight.detach().to(torch.float32)

    @property
    def size(self) -> int:
        """See `Generator`."""
        return self._size

    @property
    def factor(self) -> int:
        """The side of one place of the grid, in pixels."""
        return 2 ** (len(self._network.config["block_out_channels"]) - 1)

    @property
    def multiple(self) -> int:
        """See `Generator`."""
        return self.factor

    @property
    def codes(self) -> Tensor:
        """See `CodeGenerator`."""
        return self._codes

    def encode(self, image: Tensor) -> Tensor:
        """Pictures [N, 3, h, w] in [-1, 1] to latents [N, D, h / factor, w / factor], not quantised."""
        return self._network.encode(image.to(self.dtype)).latents.to(torch.float32)

    def quantise(self, z: Tensor) -> Tensor:
        """See `CodeGenerator`. The gradient passes as if nothing were rounded (van den Oord et al. 2017,
        section 3.2)."""
        rows = z.detach().movedim(1, -1)
        nearest = torch.cdist(rows.flatten(0, -2), self._codes).argmin(1)
        q = self._codes[nearest].view_as(rows).movedim(-1, 1)
        return z + (q - z).detach() if z.requires_grad else q.contiguous()

    @torch.inference_mode()
    def decode(self, z: Tensor) -> Tensor:
        """The pictures [N, 3, h, w] in [-1, 1] of the codes nearest to latents."""
        return self.picture(z)

    def picture(self, z: Tensor) -> Tensor:
        """See `CodeGenerator`."""
        q = self.quantise(z).to(self.dtype)
        picture = self._network.decode(q, force_not_quantize=True, return_dict=False)[0]
        return picture.to(torch.float32).clamp(-1.0, 1.0)
