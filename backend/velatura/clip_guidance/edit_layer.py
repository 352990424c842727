"""Text2LIVE: an edit layer, colour and alpha, painted by a network that is trained on this one picture.

Bar-Tal et al. 2022, Text2LIVE, arXiv:2204.02491, section 3.1. Pictures are in [0, 1] here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.diffusion import noise
from velatura.fitting.adam import fit, gradients_of

from .augment import Views, generators
from .loss import spherical_distance
from .painter import begun_painter
from .vision import Transparent, relevancy, self_similarity

GREEN = (0.0, 177 / 255, 64 / 255)  # of a green screen
FLIP, COVER, SCALE = 0.5, 0.85, (0.8, 1.2)  # the internal augmentations: published values
L1, L0 = 0.01, 0.01  # the two parts of the sparsity
LAST_RATE = 0.02  # of the rate, at the last step


@dataclass(frozen=True)
class Wanted:
    """CLIP's vectors [d] of the texts.

    Args:
        composite: of the whole picture after the edit.
        layer: of the edit layer over a green screen.
        source: of the picture as it is; None: no directional loss.
        place: of the thing that is painted on; None: no bootstrapping.
    """

    composite: Tensor
    layer: Tensor
    source: Tensor | None = None
    place: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """Weights lambda of the losses; the composition's is 1."""

    screen: float = 1.0
    structure: float = 2.0
    sparsity: float = 6.0
    bootstrap: float = 10.0


class Step(NamedTuple):
    """A finished step. i: from 0. n: all. composite: makes the present picture [1, 3, h, w] in [0, 1]."""

    i: int
    n: int
    composite: Callable[[], Tensor]


def over(layer: Tensor, background: Tensor, mask: Tensor | float = 1.0) -> Tensor:
    """A layer [1, 4, h, w] over a background [1, 3, h, w], with its alpha times a mask [1, 1, h, w]."""
    alpha = layer[:, 3:] * mask
    return alpha * layer[:, :3] + (1.0 - alpha) * background


def sparsity(alpha: Tensor) -> Tensor:
    """The L1 norm and a smooth L0 of an alpha [1, 1, h, w], as means over its places (eq. 6)."""
    return L1 * alpha.mean() + L0 * (2.0 * (5.0 * alpha).sigmoid() - 1.0).mean()


def directional(before: Tensor, after: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """1 - cos between the change of pictures [n, d] and that of texts [d] (eq. 4), the mean over n."""
    return (1.0 - F.cosine_similarity(after - before, (target - source)[None], dim=-1)).mean()


def paint(
    encoder: Transparent,
    image: Tensor,
    mask: Tensor,
    wanted: Wanted,
    views: Views,
    seed: int,
    *,
    steps: int,
    rate: float,
    weights: Weights,
    after_step: Callable[[Step], None],
    begun: list[Any],
) -> Tensor:
    """The edit layer [1, 4, h, w] in [0, 1], colour and alpha; the selection is no part of the alpha.

    Each step shows the painter the picture flipped, scaled and cropped at random, and lowers the sum of

    - the composite's distance from its text, and that of the change from the change of the texts,
    - the distance of the layer over a green screen from its text,
    - the difference of the composite's self-similarity from the picture's,
    - the sparsity of alpha,
    - in the first half of the steps, falling to 0, the mean square of alpha less the relevancy of the place.

    Args:
        encoder: CLIP.
        image: [1, 3, h, w] in [0, 1].
        mask: [1, 1, h, w] in [0, 1], the selection: outside of it the layer is not seen.
        wanted: the texts.
        views: CLIP sees these of each picture.
        seed: of the painter's first weights, the augmentations and the views.
        steps: of Adam.
        rate: Adam's, which falls to `LAST_RATE` of itself.
        weights: of the losses.
        after_step: called after each step; it raises to cancel.
        begun: see `velatura.fitting.adam.fit`.
    """
    with torch.inference_mode(False), torch.no_grad():
        image, mask = image.clone(), mask.clone()
        with torch.enable_grad():
            guide = None if wanted.place is None else relevancy(encoder, image, wanted.place) * mask
        network = begun_painter(seed).to(image)
        names = [name for name, _ in network.named_parameters()]

        def painted(parameters: list[Tensor], x: Tensor) -> Tensor:
            return torch.func.functional_call(network, dict(zip(names, parameters, strict=True)), x)

        def loss(i: int, parameters: list[Tensor]) -> Tensor:
            random = torch.Generator().manual_seed((noise.chosen(seed, i) * 1_000_003 + i + 1) % 2**63)
            together = torch.cat([image, mask] if guide is None else [image, mask, guide], dim=1)
            x, m, *g = _augmented(together, random).split([3, 1, together.shape[1] - 4], dim=1)
            share = weights.bootstrap * max(0.0, 1.0 - 2.0 * (i + 1) / steps)
            layer = painted(parameters, x)
            total = _loss(encoder, x, m, layer, wanted, views, weights, int(random.initial_seed()))
            if guide is not None and share:
                total = total + share * F.mse_loss(layer[:, 3:] * m, g[0])
            return total

        def after(i: int, parameters: list[Tensor]) -> None:
            after_step(Step(i - 1, steps, lambda: over(painted(parameters, image), image, mask)))

        fitted = fit(
            list(network.parameters()),
            gradients_of(loss),
            lambda i: rate * LAST_RATE ** (i / steps),
            steps,
            begun,
            after,
        )
        return painted(fitted, image)


def _loss(
    encoder: Transparent,
    x: Tensor,
    m: Tensor,
    layer: Tensor,
    wanted: Wanted,
    views: Views,
    weights: Weights,
    seed: int,
) -> Tensor:
    """All losses but that of the bootstrapping, for a picture x, its mask m and its layer."""

    def vectors(picture: Tensor) -> Tensor:
        return encoder.images(views(picture, generators([seed]))[0])  # the same views of each

    composite = over(layer, x, m)
    seen = vectors(composite)
    loss = spherical_distance(seen, wanted.composite).mean()
    if wanted.source is not None:
        with torch.no_grad():
            before = vectors(x)
        loss = loss + directional(before, seen, wanted.source, wanted.composite)
    if weights.screen:
        green = torch.tensor(GREEN).to(x)[None, :, None, None].expand_as(x)
        loss = loss + weights.screen * spherical_distance(vectors(over(layer, green, m)), wanted.layer).mean()
    if weights.structure:
        with torch.no_grad():
            kept = self_similarity(encoder, x)
        loss = loss + weights.structure * F.mse_loss(self_similarity(encoder, composite), kept)
    return loss + weights.sparsity * sparsity(layer[:, 3:] * m)


def _augmented(x: Tensor, random: torch.Generator) -> Tensor:
    """The picture's planes [1, C, h, w] flipped, scaled and cropped."""
    height, width = x.shape[-2:]
    flip, down, right, top, left, scale = torch.rand(6, generator=random, dtype=torch.float64).tolist()
    if flip < FLIP:
        x = x.flip(3)
    h, w = (round(n * (COVER + (1.0 - COVER) * u)) for n, u in ((height, down), (width, right)))
    y0, x0 = round(top * (height - h)), round(left * (width - w))
    x = x[..., y0 : y0 + h, x0 : x0 + w]
    factor = SCALE[0] + (SCALE[1] - SCALE[0]) * scale
    size = (max(1, round(h * factor)), max(1, round(w * factor)))
    return F.interpolate(x, size, mode="bilinear", antialias=True)
