"""Distances between pictures, as pure functions.

Pictures are (N, 3, H, W) in 0..1, weights (N, 1, H, W) or (1, 1, H, W) in 0..1. Results are (N,) float64
unless their docstring says otherwise, and NaN where the weight is zero everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Mean squared error of rounding to 8 bits, up to which two equal pictures of 8 bits are known to be equal.
ROUNDING = 1.0 / (12.0 * 255.0**2)


def weighted_mean(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of (N, C, H, W) over channels and weighted pixels."""
    if weight is None:
        return values.double().mean((1, 2, 3))
    weight = weight.double().expand(len(values), 1, *values.shape[2:])
    return (values.double().mean(1, keepdim=True) * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def mse(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared error, 0..1."""
    return weighted_mean((a.double() - b.double()) ** 2, weight)


def psnr(a: Tensor, b: Tensor, weight: Tensor | None = None, floor: float = 0.0) -> Tensor:
    """Peak signal-to-noise ratio 10 log10(1 / MSE) in dB; infinite for equal pictures.

    floor: the least error that counts. With `ROUNDING` equal pictures get 58.92 dB, so that a mean over
    pictures stays finite.
    """
    return -10.0 * mse(a, b, weight).clamp_min(floor).log10()


def mean_change(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute difference in levels of 0..255."""
    return weighted_mean((a.double() - b.double()).abs(), weight) * 255.0


def gaussian_window(side: int = 11, sigma: float = 1.5) -> Tensor:
    """Normalised Gaussian (side,), float64."""
    x = torch.arange(side, dtype=torch.float64) - (side - 1) / 2.0
    g = torch.exp(-(x**2) / (2.0 * sigma**2))
    return g / g.sum()


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity at every place where the window fits, (N, 3, H - 10, W - 10) float64.

    Wang, Bovik, Sheikh, Simoncelli 2004, Image Quality Assessment: From Error Visibility to Structural
    Similarity, eq. 13: circular Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, L = 1.
    """
    c1, c2 = 0.01**2, 0.03**2
    window = gaussian_window()

    def mean(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = F.conv2d(x.reshape(n * c, 1, h, w), window.view(1, 1, -1, 1))
        x = F.conv2d(x, window.view(1, 1, 1, -1))
        return x.view(n, c, *x.shape[2:])

    x, y = a.double().cpu(), b.double().cpu()
    mu_x, mu_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mu_x**2, mean(y * y) - mu_y**2
    cov = mean(x * y) - mu_x * mu_y
    numerator = (2.0 * mu_x * mu_y + c1) * (2.0 * cov + c2)
    return numerator / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))


def ssim(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of `ssim_map` (Wang et al. 2004, eq. 14), at most 1; a place counts as its centre's weight."""
    inner = None if weight is None else weight.cpu()[..., 5:-5, 5:-5]
    return weighted_mean(ssim_map(a, b), inner)


def perceptual_distance(a: Sequence[Tensor], b: Sequence[Tensor], weight: Tensor | None = None) -> Tensor:
    """The distance of Zhang et al. 2018 (LPIPS, eq. 1) with all channel weights one, at least 0.

    a, b: feature maps of several layers, each (N, C, h, w). Every place's features are scaled to length one,
    squared differences are summed over channels, averaged over places and summed over layers.
    """
    total = torch.zeros(len(a[0]), dtype=torch.float64)
    for x, y in zip(a, b, strict=True):
        difference = ((F.normalize(x.double(), dim=1) - F.normalize(y.double(), dim=1)) ** 2).sum(1, True)
        inner = None if weight is None else F.adaptive_avg_pool2d(weight.double(), (x.shape[2], x.shape[3]))
        total += weighted_mean(difference, inner).cpu()
    return total


def self_similarity(features: Tensor) -> Tensor:
    """Cosines between the features of every two places: (N, P, d) -> (N, P, P)."""
    unit = F.normalize(features.double(), dim=-1)
    return unit @ unit.transpose(1, 2)


def structure_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of two self-similarities of features (N, P, d); 0..4, 0 for equal structure.

    Tumanyan, Bar-Tal, Bagon, Dekel 2022, Splicing ViT Features for Semantic Appearance Transfer, eq. 4
    (there with keys of a vision transformer); a measure of editing since Ju et al. 2024 (PIE-Bench).
    """
    return ((self_similarity(a) - self_similarity(b)) ** 2).mean((1, 2))


def directional_similarity(
    image_a: Tensor, image_b: Tensor, text_a: Tensor, text_b: Tensor, eps: float = 1e-8
) -> Tensor:
    """cos(E(B) - E(A), T(b) - T(a)) of unit embeddings (N, d), -1..1; 0 where nothing has changed.

    Gal, Patashnik, Maron, Bermano, Chechik, Cohen-Or 2021, StyleGAN-NADA, eq. 3.
    """
    image = F.normalize(image_b.double(), dim=1) - F.normalize(image_a.double(), dim=1)
    text = F.normalize(text_b.double(), dim=1) - F.normalize(text_a.double(), dim=1)
    return F.cosine_similarity(image, text, dim=1, eps=eps)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of vectors (N, d), -1..1."""
    return F.cosine_similarity(a.double(), b.double(), dim=1)


def diversity(features: Sequence[Tensor], weight: Tensor | None = None) -> float:
    """Mean of `perceptual_distance` over all pairs of N pictures, at least 0; NaN for fewer than two.

    Avrahami et al. 2023, Blended Latent Diffusion, section 5.1, there with LPIPS.
    """
    pairs = list(combinations(range(len(features[0])), 2))
    if not pairs:
        return float("nan")
    left, right = (torch.tensor(side) for side in zip(*pairs, strict=True))
    first, second = ([f[side] for f in features] for side in (left, right))
    return float(perceptual_distance(first, second, weight).mean())


def leakage(result: Tensor, source: Tensor, region: Tensor) -> Tensor:
    """Mean absolute change outside the exact region, in levels of 0..255.

    region: 1 where source and target differ. Outside it the exact target is the source, so this is also the
    distance to the target there.
    """
    return mean_change(result, source, 1.0 - region)


def closeness(result: Tensor, source: Tensor, target: Tensor, region: Tensor) -> Tensor:
    """Progress of an edit towards the exact target in the region: 1 - |result - target| / |source - target|.

    1 is the target itself, 0 is as far from it as the source, below 0 is farther. A right edit need not reach
    1, for the prompt does not describe the target to the pixel.
    """
    return 1.0 - mean_change(result, target, region) / mean_change(source, target, region)
