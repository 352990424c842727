"""StyleCLIP's optimisation as published, written plainly, for comparison.

Its networks are those of orpatashnik/StyleCLIP (models/stylegan2/model.py, criteria/clip_loss.py): each
modulated convolution makes weights of its own for each picture, and filters are resampled channel by channel.
They have the weights of a generator of ours.
"""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from velatura.companions.clip import Encoder
from velatura.models.families.style_files import Parts
from velatura.models.families.stylegan2 import BLUR, GAIN, SLOPE

ENLARGED = 7
"""CLIPLoss enlarges pictures so many times, and then takes means, so that they have CLIP's side."""


class Plain(nn.Module):
    """G of W+, all weights of which take a gradient, as nothing in the published code stops them. The decoder
    of latents, which the published code does not have, is frozen."""

    kernel: Tensor

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.synthesis = deepcopy(parts.generator.synthesis)
        self.synthesis.thaw()
        for weight in self.synthesis.parameters():
            weight.data = weight.data.contiguous()
        self.synthesis.requires_grad_()
        self.decoder = None if parts.decoder is None else deepcopy(parts.decoder.decoder)
        self._mean, self._std, self._clamp = parts.mean, parts.std, parts.shape.clamp
        line = torch.tensor(BLUR)
        self.register_buffer("kernel", 4.0 * torch.outer(line, line) / line.sum().square())

    def forward(self, ws: Tensor) -> Tensor:
        """Pictures [N, 3, s, s] of codes [N, num_ws, w_dim]."""
        x: Tensor | None = None
        picture: Tensor | None = None
        row = 0
        for block in self.synthesis.blocks:
            for layer in block.layers:
                if x is None:
                    x = block.const.repeat(len(ws), 1, 1, 1)
                x = self._modulated(x, layer.weight, layer.affine(ws[:, row]), up=layer.up)
                x = x + layer.noise_strength * layer.noise_const
                x = self._clamped(F.leaky_relu(x + layer.bias.view(1, -1, 1, 1), SLOPE) * GAIN)
                row += 1
            assert x is not None
            colours = block.torgb
            s = colours.affine(ws[:, row]) / x.shape[1] ** 0.5
            y = self._modulated(x, colours.weight, s, demodulate=False) + colours.bias.view(1, -1, 1, 1)
            y = self._clamped(y)
            picture = y if picture is None else self._enlarged(picture) + y
        assert picture is not None
        if self.decoder is None or self._mean is None or self._std is None:
            return picture
        mean, std = (values.to(picture).reshape(1, -1, 1, 1) for values in (self._mean, self._std))
        return self.decoder(picture * std + mean)

    def _clamped(self, x: Tensor) -> Tensor:
        return x if self._clamp is None else x.clamp(-self._clamp, self._clamp)

    def _modulated(
        self, x: Tensor, weight: Tensor, s: Tensor, *, demodulate: bool = True, up: bool = False
    ) -> Tensor:
        """ModulatedConv2d: x [N, I, h, w] with weight [O, I, k, k] and styles s [N, I]."""
        (n, inputs, h, w), (outputs, _, k, _) = x.shape, weight.shape
        own = weight[None] * s.view(n, 1, inputs, 1, 1)
        if demodulate:
            own = own * (own.pow(2).sum([2, 3, 4]) + 1e-8).rsqrt().view(n, outputs, 1, 1, 1)
        x = x.reshape(1, n * inputs, h, w)
        if not up:
            y = F.conv2d(x, own.view(n * outputs, inputs, k, k), padding=k // 2, groups=n)
            return y.view(n, outputs, h, w)
        own = own.transpose(1, 2).reshape(n * inputs, outputs, k, k)
        y = F.conv_transpose2d(x, own, stride=2, groups=n)
        return self._filtered(y.view(n, outputs, *y.shape[2:]), 1, 1)

    def _enlarged(self, x: Tensor) -> Tensor:
        """Upsample: zeros between the pixels, and the filter."""
        n, c, h, w = x.shape
        spread = F.pad(x.reshape(n, c, h, 1, w, 1), [0, 1, 0, 0, 0, 1]).view(n, c, 2 * h, 2 * w)
        return self._filtered(spread, 2, 1)

    def _filtered(self, x: Tensor, before: int, after: int) -> Tensor:
        """upfirdn2d, without resampling."""
        n, c = x.shape[:2]
        x = F.pad(x, [before, after, before, after])
        y = F.conv2d(x.reshape(n * c, 1, *x.shape[2:]), self.kernel[None, None])
        return y.view(n, c, *y.shape[2:])


def clip_loss(clip: Encoder, pictures: Tensor, text: str) -> Tensor:
    """CLIPLoss of pictures [N, 3, s, s] in about [-1, 1], [N]; it reads the text each time."""
    large = F.interpolate(pictures, scale_factor=ENLARGED, mode="nearest")
    seen = F.avg_pool2d(large, max(1, large.shape[-1] // clip.side))
    return 1.0 - (clip.images((seen + 1.0) / 2.0) * clip.texts([text])).sum(-1)
