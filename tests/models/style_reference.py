"""StyleGAN2's layers written out from their formulas, one operation at a time, over a table of weights.

Each sample has weights of its own in a grouped convolution (Karras et al. 2020, equations 1 and 3); doubling
the size inserts zeros and then filters with the whole two-dimensional kernel. Names are those of
stylegan2-ada-pytorch.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

LINE = torch.tensor([1.0, 3.0, 3.0, 1.0])
KERNEL = torch.outer(LINE, LINE) / 64.0


def lrelu(x):
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2.0)


def unit(x):
    return x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-8)


def affine(w, name, x, lr=1.0):
    weight, bias = w[f"{name}.weight"], w[f"{name}.bias"]
    return x @ weight.T * (lr / math.sqrt(weight.shape[1])) + bias * lr


def mapping(w, z=None, c=None, *, layers, lr):
    parts = [] if z is None else [unit(z)]
    if c is not None:
        parts.append(unit(affine(w, "mapping.embed", c)))
    x = torch.cat(parts, 1)
    for i in range(layers):
        x = lrelu(affine(w, f"mapping.fc{i}", x, lr))
    return x


def zeros_between(x):
    n, c, h, width = x.shape
    y = x.new_zeros(n, c, 2 * h, 2 * width)
    y[:, :, ::2, ::2] = x
    return y


def filtered(x, gain):
    """x convolved with the kernel in each channel, without padding."""
    kernel = (KERNEL * gain).to(x.dtype).flip(0, 1)
    n, c, h, width = x.shape
    return F.conv2d(x.reshape(n * c, 1, h, width), kernel[None, None]).reshape(n, c, h - 3, width - 3)


def doubled(x):
    return filtered(F.pad(zeros_between(x), (2, 1, 2, 1)), 4.0)


def modulated(x, weight, s, *, demodulate, up):
    """x [N, I, h, w], weight [O, I, k, k], s [N, I]."""
    n, i = x.shape[:2]
    own = weight[None] * s[:, None, :, None, None]  # [N, O, I, k, k]
    if demodulate:
        own = own / torch.sqrt((own**2).sum((2, 3, 4), keepdim=True) + 1e-8)
    o, k = weight.shape[0], weight.shape[-1]
    if up:  # zeros between, a true convolution with every place that the kernel reaches, and the filter
        x = F.pad(zeros_between(x), (k - 1, k - 2, k - 1, k - 2))
        own = own.flip(3, 4)
    else:
        x = F.pad(x, (k // 2,) * 4)
    y = F.conv2d(x.reshape(1, n * i, *x.shape[2:]), own.reshape(n * o, i, k, k), groups=n)
    y = y.reshape(n, o, *y.shape[2:])
    return filtered(F.pad(y, (1, 1, 1, 1)), 4.0) if up else y


def synthesis(w, ws, *, blocks, clamp=None):
    """Pictures of ws [N, num_ws, w_dim]."""

    def limited(x):
        return x if clamp is None else x.clamp(-clamp, clamp)

    def layer(name, x, row, up):
        s = affine(w, f"{name}.affine", ws[:, row])
        y = modulated(x, w[f"{name}.weight"], s, demodulate=True, up=up)
        y = y + w[f"{name}.noise_const"] * w[f"{name}.noise_strength"]
        return limited(lrelu(y + w[f"{name}.bias"][:, None, None]))

    x, picture, row = w["synthesis.b4.const"].expand(len(ws), -1, -1, -1), None, 0
    for b in range(blocks):
        name = f"synthesis.b{4 * 2**b}"
        if b:
            x, row = layer(f"{name}.conv0", x, row, True), row + 1
        x, row = layer(f"{name}.conv1", x, row, False), row + 1
        weight = w[f"{name}.torgb.weight"]
        s = affine(w, f"{name}.torgb.affine", ws[:, row]) / math.sqrt(weight.shape[1])
        colours = modulated(x, weight, s, demodulate=False, up=False)
        colours = limited(colours + w[f"{name}.torgb.bias"][:, None, None])
        picture = colours if picture is None else doubled(picture) + colours
    return picture
