"""The networks of StyleGAN2: a mapping from codes to styles, and a synthesis of pictures from styles.

Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN (configuration F, skip connections),
with the class labels of Karras et al. 2020, Training Generative Adversarial Networks with Limited Data.

Names of parameters are those that the second paper's authors use in their checkpoints, so that converted
weights keep their names. Spaces, by the names of Wu et al. 2021, StyleSpace Analysis:

- Z: codes z [N, z_dim] ~ N(0, I), and labels c [N, c_dim].
- W: w [N, w_dim]; W+: ws [N, num_ws, w_dim], one w for each layer.
- S: a list of tensors [N, C_l], one for each modulated convolution, those that give colours among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, sqrt
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .frozen_convolutions import Frozen

SLOPE = 0.2  # of leaky ReLU for negative values
GAIN = sqrt(2.0)  # keeps the variance of leaky ReLU's results
BLUR = (1.0, 3.0, 3.0, 1.0)
SMALLEST = 4  # side of the first block


@dataclass(frozen=True)
class Shape:
    """The sizes of a generator.

    Args:
        z_dim, c_dim, w_dim: lengths of code, label and style. A z_dim of 0 is for pictures that follow from
            their labels alone; a c_dim of 0 for a model without labels.
        channels: of each block, from the one of side 4 on; each block has twice the side of the one before.
        img_channels: of what is synthesised: 3 for a picture, more for an autoencoder's latents.
        mapping_layers: fully connected layers of the mapping.
        lr_multiplier: of the mapping's layers: their weights are stored divided by it.
        clamp: the largest magnitude of a layer's result; None: no limit.
    """

    z_dim: int
    c_dim: int
    w_dim: int
    channels: tuple[int, ...]
    img_channels: int = 3
    mapping_layers: int = 8
    lr_multiplier: float = 0.01
    clamp: float | None = None

    @property
    def resolution(self) -> int:
        """Side of what is synthesised."""
        return SMALLEST * 2 ** (len(self.channels) - 1)

    @property
    def num_ws(self) -> int:
        """Layers of W+: the convolutions, and the last layer of colours."""
        return 2 * int(log2(self.resolution)) - 2


def normalize_2nd_moment(x: Tensor) -> Tensor:
    """x divided by the root of its mean square over the features, [N, D]."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class FullyConnectedLayer(nn.Module):
    """An affine map whose weights are scaled when it runs (equalized learning rate; Karras et al. 2018,
    Progressive Growing of GANs, section 4.1)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activate: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init / lr_multiplier))
        self._activate, self._scale = activate, lr_multiplier
        self._gain = lr_multiplier / sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x * self._gain, self.weight, self.bias * self._scale)
        return F.leaky_relu(y, SLOPE) * GAIN if self._activate else y


class Mapping(nn.Module):
    """f: Z to W. `w_avg` [w_dim] is the mean of w, towards which truncation moves."""

    w_avg: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        if shape.c_dim:
            self.embed = FullyConnectedLayer(shape.c_dim, shape.w_dim)
        first = shape.z_dim + (shape.w_dim if shape.c_dim else 0)
        for i in range(shape.mapping_layers):
            inputs = first if i == 0 else shape.w_dim
            layer = FullyConnectedLayer(inputs, shape.w_dim, activate=True, lr_multiplier=shape.lr_multiplier)
            self.add_module(f"fc{i}", layer)
        self.register_buffer("w_avg", torch.zeros(shape.w_dim))

    def forward(self, z: Tensor | None, c: Tensor | None = None) -> Tensor:
        """w [N, w_dim] of codes z [N, z_dim] and labels c [N, c_dim], each where the shape has it."""
        parts: list[Tensor] = []
        if self.shape.z_dim:
            assert z is not None
            parts.append(normalize_2nd_moment(z))
        if self.shape.c_dim:
            assert c is not None
            parts.append(normalize_2nd_moment(self.embed(c)))
        x = torch.cat(parts, 1)
        for i in range(self.shape.mapping_layers):
            x = self.get_submodule(f"fc{i}")(x)
        return x

    def truncated(self, w: Tensor, psi: float) -> Tensor:
        """w_avg + psi (w - w_avg) (Karras et al. 2019, A Style-Based Generator, appendix B)."""
        return self.w_avg.lerp(w, psi)


def blur(x: Tensor, gain: float = 1.0, padding: int = 1) -> Tensor:
    """x [N, C, h, w] filtered with [1, 3, 3, 1], which is one smaller with a padding of 1."""
    line = x.new_tensor(BLUR)
    kernel = torch.outer(line, line) * (gain / line.sum().square())
    channels = x.shape[1]
    return F.conv2d(x, kernel.expand(channels, 1, 4, 4), padding=padding, groups=channels)


def upsample(x: Tensor) -> Tensor:
    """x [N, C, h, w] at twice the size, filtered with [1, 3, 3, 1]."""
    line = x.new_tensor(BLUR)
    kernel = torch.outer(line, line) * (4.0 / line.sum().square())
    channels = x.shape[1]
    return F.conv_transpose2d(x, kernel.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool = True,
    up: bool = False,
    frozen: Frozen | None = None,
) -> Tensor:
    """A convolution whose weights are scaled by styles, w'_ijk = s_i w_ijk, and then to unit norm of each
    output channel, w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps) (Karras et al. 2020, equations 1 and 3).

    Scaling the input by s and the output by the norm gives the same, with one set of weights for the batch.

    Args:
        x: [N, I, h, w].
        weight: [O, I, k, k].
        styles: [N, I].
        up: whether the result has twice the size; it is filtered with [1, 3, 3, 1].
        frozen: of the same weight, which then takes no gradient; for x of float32.
    """
    wide = torch.promote_types(styles.dtype, torch.float32)
    styles = styles.to(wide)
    if x.dtype == torch.float16 and demodulate:  # demodulation takes these factors out again
        styles = styles / styles.abs().amax(1, keepdim=True).clamp_min(1e-8)
        weight = weight / weight.abs().amax((1, 2, 3), keepdim=True) / sqrt(weight[0].numel())
    y = x * styles[:, :, None, None].to(x.dtype)
    if up:
        transposed = weight.transpose(0, 1).to(x.dtype)
        y = frozen.doubled(y) if frozen else F.conv_transpose2d(y, transposed, stride=2)
        y = blur(y, gain=4.0)
    else:
        y = frozen.same(y) if frozen else F.conv2d(y, weight.to(x.dtype), padding=weight.shape[-1] // 2)
    if demodulate:
        squares = frozen.squares if frozen else weight.to(wide).square().sum((2, 3))
        norms = (styles.square() @ squares.T + 1e-8).rsqrt()
        y = y * norms[:, :, None, None].to(x.dtype)
    return y


def usable(frozen: Frozen | None, x: Tensor) -> Frozen | None:
    """A layer's frozen weights, where x is of their dtype."""
    return frozen if frozen is not None and frozen.weight.dtype == x.dtype else None


class SynthesisLayer(nn.Module):
    """A modulated convolution, noise, bias and leaky ReLU."""

    noise_const: Tensor

    def __init__(
        self, inputs: int, outputs: int, w_dim: int, side: int, *, up: bool = False, clamp: float | None
    ) -> None:
        super().__init__()
        self.affine = FullyConnectedLayer(w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.register_buffer("noise_const", torch.randn(side, side))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.up, self._clamp = up, clamp
        self.frozen: Frozen | None = None

    def forward(self, x: Tensor, styles: Tensor, noise: Tensor | None) -> Tensor:
        """x [N, I, h, w] with styles [N, I]; noise [side, side] or [N, 1, side, side], None: the stored."""
        y = modulated_conv2d(x, self.weight, styles, up=self.up, frozen=usable(self.frozen, x))
        y = y + (self.noise_const if noise is None else noise).to(y.dtype) * self.noise_strength.to(y.dtype)
        y = F.leaky_relu(y + self.bias[:, None, None].to(y.dtype), SLOPE) * GAIN
        return y if self._clamp is None else y.clamp(-self._clamp, self._clamp)


class ToRGBLayer(nn.Module):
    """A modulated 1 x 1 convolution to the channels of the picture, without demodulation."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.affine = FullyConnectedLayer(w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._gain, self._clamp = 1.0 / sqrt(inputs), clamp
        self.frozen: Frozen | None = None

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        y = modulated_conv2d(
            x, self.weight, styles * self._gain, demodulate=False, frozen=usable(self.frozen, x)
        )
        y = y.to(self.bias.dtype) + self.bias[:, None, None]
        return y if self._clamp is None else y.clamp(-self._clamp, self._clamp)


class Block(nn.Module):
    """The layers of one side: two convolutions (one in the first block, which starts from a constant), and
    the colours that are added to those of the blocks before."""

    def __init__(self, inputs: int, outputs: int, side: int, shape: Shape) -> None:
        super().__init__()
        if inputs:
            self.conv0 = SynthesisLayer(inputs, outputs, shape.w_dim, side, up=True, clamp=shape.clamp)
        else:
            self.const = nn.Parameter(torch.randn(outputs, side, side))
        self.conv1 = SynthesisLayer(outputs, outputs, shape.w_dim, side, clamp=shape.clamp)
        self.torgb = ToRGBLayer(outputs, shape.img_channels, shape.w_dim, shape.clamp)
        self.first = not inputs
        self.side = side

    @property
    def layers(self) -> list[SynthesisLayer]:
        """The convolutions in their order."""
        return [self.conv1] if self.first else [self.conv0, self.conv1]


class Synthesised(NamedTuple):
    """Results of the synthesis.

    Args:
        picture: [N, img_channels, r, r], float32; [-1, 1] and some more for pictures.
        features: of each block, [N, C, side, side].
    """

    picture: Tensor
    features: list[Tensor]


class Synthesis(nn.Module):
    """g: W+ or S to pictures."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        before = 0
        for i, channels in enumerate(shape.channels):
            side = SMALLEST * 2**i
            self.add_module(f"b{side}", Block(before, channels, side, shape))
            before = channels
        self.sides = [SMALLEST * 2**i for i in range(len(shape.channels))]

    @property
    def blocks(self) -> list[Block]:
        """The blocks in their order."""
        found = [self.get_submodule(f"b{side}") for side in self.sides]
        return [block for block in found if isinstance(block, Block)]

    def freeze(self) -> None:
        """Prepares the weights as they are now; they take no gradient until `thaw`."""
        for block in self.blocks:
            for layer in (*block.layers, block.torgb):
                layer.frozen = Frozen(layer.weight, up=isinstance(layer, SynthesisLayer) and layer.up)
                layer.weight.data = layer.frozen.weight  # the same numbers in one place of memory

    def thaw(self) -> None:
        """Lets weights change and take a gradient again."""
        for block in self.blocks:
            for layer in (*block.layers, block.torgb):
                layer.frozen = None

    def styles(self, ws: Tensor) -> list[Tensor]:
        """S of W+: [N, C_l] for each layer, in the order in which they run, from ws [N, num_ws, w_dim].

        The colours of a block take the w of the convolution after them.
        """
        styles: list[Tensor] = []
        row = 0
        for block in self.blocks:
            for layer in block.layers:
                styles.append(layer.affine(ws[:, row]))
                row += 1
            styles.append(block.torgb.affine(ws[:, row]))
        return styles

    def forward(
        self,
        styles: Sequence[Tensor],
        noise: Sequence[Tensor] | None = None,
        dtype: torch.dtype | None = None,
    ) -> Synthesised:
        """Pictures of S.

        Args:
            styles: as `styles` gives them.
            noise: one for each convolution (see `SynthesisLayer`); None: the stored ones.
            dtype: in which the convolutions compute; None: that of their weights.
        """
        given = iter(styles)
        noises = iter(noise) if noise is not None else None
        x: Tensor | None = None
        picture: Tensor | None = None
        features: list[Tensor] = []
        for block in self.blocks:
            for layer in block.layers:
                s = next(given)
                if x is None:
                    x = block.const.to(dtype or layer.weight.dtype).expand(len(s), -1, -1, -1)
                x = layer(x, s, next(noises) if noises is not None else None)
            assert x is not None
            colours = block.torgb(x, next(given))
            picture = colours if picture is None else upsample(picture) + colours
            features.append(x)
        assert picture is not None
        return Synthesised(picture, features)


class StyleGAN2(nn.Module):
    """Mapping and synthesis."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = Mapping(shape)
        self.synthesis = Synthesis(shape)

    def forward(self, z: Tensor | None, c: Tensor | None = None, psi: float = 1.0) -> Tensor:
        """Pictures [N, img_channels, r, r] of codes and labels, truncated by psi."""
        w = self.mapping.truncated(self.mapping(z, c), psi)
        ws = w[:, None].expand(-1, self.shape.num_ws, -1)
        return self.synthesis(self.synthesis.styles(ws)).picture
