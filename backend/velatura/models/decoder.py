"""An autoencoder's decoder with weights that can be tuned for one picture, without changing the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from velatura.diffusion import network


class TunableDecoder(network.Decoder):
    """The decoder of a model, in float32.

    Args:
        autoencoder: of the model.
        input: the decoder's input for latents.
    """

    def __init__(self, autoencoder: Any, input: Callable[[Tensor], Tensor]) -> None:
        self._input = input
        first = getattr(autoencoder, "post_quant_conv", None)
        parts: list[nn.Module] = [autoencoder.decoder] if first is None else [first, autoencoder.decoder]
        self._network = nn.Sequential(*parts)
        self.weights = {name: weight.detach().float() for name, weight in self._network.named_parameters()}

    def picture(self, z: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """See `network.Decoder`."""
        return functional_call(self._network, dict(weights), (self._input(z),))
