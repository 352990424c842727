"""An autoencoder's decoder with weights that can be tuned for one picture, without changing the model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.autoencoders.vae import Decoder, DecoderTiny
from torch import Tensor, nn
from torch.func import functional_call

from velatura.diffusion import network


class SplitDecoder(network.Decoder):
    """The decoder of a model, in float32: a head that stays, and a tail whose weights are arguments.

    The tail has the layers at the picture's own size, a fiftieth of a Stable Diffusion decoder's weights.

    Args:
        autoencoder: of the model.
        scale: latents are divided by it,
        shift: and then get this added.
        whole: whether the tail is the whole decoder.
    """

    def __init__(
        self, autoencoder: AutoencoderKL | AutoencoderTiny, scale: float, shift: float, *, whole: bool
    ) -> None:
        self._scale, self._shift, self._dtype = scale, shift, autoencoder.dtype
        decoder = autoencoder.decoder
        if isinstance(decoder, DecoderTiny):
            layers = list(decoder.layers)
            ups = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Upsample)]
            at = ups[-1] if ups and not whole else 0
            self._head = nn.Sequential(_Soft(), *layers[:at])
            self._tail = nn.Sequential(*layers[at:], _Signed())
        else:
            assert isinstance(decoder, Decoder)
            before: list[nn.Module] = (
                [] if autoencoder.post_quant_conv is None else [autoencoder.post_quant_conv]
            )
            before += [decoder.conv_in, decoder.mid_block, *decoder.up_blocks]
            at = 0 if whole else len(before) - 1
            self._head = nn.Sequential(*before[:at])
            self._tail = nn.Sequential(
                *before[at:], decoder.conv_norm_out, decoder.conv_act, decoder.conv_out
            )
        self.weights = {name: weight.detach().float() for name, weight in self._tail.named_parameters()}

    def features(self, z: Tensor) -> Tensor:
        """See `network.Decoder`."""
        return self._head((z / self._scale + self._shift).to(self._dtype)).float()

    def picture(self, features: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """See `network.Decoder`."""
        return functional_call(self._tail, dict(weights), (features.float(),))


class _Soft(nn.Module):
    """The soft limit at the beginning of a tiny decoder."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3.0) * 3.0


class _Signed(nn.Module):
    """From [0, 1] to [-1, 1], the end of a tiny decoder."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2.0 - 1.0
