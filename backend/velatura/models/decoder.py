"""An autoencoder's decoder with weights that can be tuned for one picture, without changing the model."""

from __future__ import annotations

from collections.abc import Mapping

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from torch import Tensor, nn
from torch.func import functional_call

from velatura.diffusion import network


class TunableDecoder(network.Decoder):
    """The decoder of a model, in float32.

    Args:
        autoencoder: of the model.
        scale: latents are divided by it,
        shift: and then get this added.
    """

    def __init__(self, autoencoder: AutoencoderKL | AutoencoderTiny, scale: float, shift: float) -> None:
        self._scale, self._shift = scale, shift
        first = getattr(autoencoder, "post_quant_conv", None)
        parts: list[nn.Module] = [autoencoder.decoder] if first is None else [first, autoencoder.decoder]
        self._network = nn.Sequential(*parts)
        self.weights = {name: weight.detach().float() for name, weight in self._network.named_parameters()}

    def picture(self, z: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """See `network.Decoder`."""
        return functional_call(self._network, dict(weights), (z / self._scale + self._shift,))
