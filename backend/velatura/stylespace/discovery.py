"""Directions of a generator that nobody has asked for: principal directions of what CLIP sees, with names.

Abdal, Zhu, Femiani, Mitra & Wonka 2022, CLIP2StyleGAN: Unsupervised Extraction of StyleGAN Edit Directions,
arXiv:2112.05219. In three steps:

1. Sampled pictures differ from their mean in CLIP's space; the principal directions of these differences are
   what pictures of the generator differ in most (`principal`).
2. A direction gets the names of the words that lie nearest at its two ends. Words are differences too, from
   their own mean: so the gap between CLIP's pictures and CLIP's texts is in neither. A principal direction
   mixes what varies together; in its place the direction between its two words, as far as the pictures vary
   in it, is what the words mean alone (`named`).
3. The codes of the samples are regressed on their places along all the directions at once (`regressed`): a
   direction's step in W is the part of the change that no other direction explains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.values import storable
from velatura.clip_guidance.loss import Encoder
from velatura.generators.styles import StyleGenerator

from .clip_losses import area

BATCH = 16  # pictures that are made and looked at together
SPAN = 32  # principal directions in which pictures are taken to vary
RIDGE = 1e-2  # of the regression, as a share of the mean variance of the places
STEP = 2.0  # of a dial at 1, in standard deviations of the samples' places along the direction
SENTENCE = "a photo of a face, {}"

AfterStep = Callable[[int, int], None]
"""after_step(i, n): called when part i of n, from 1, is done. It may raise to stop."""


@storable("discovery-samples")
@dataclass(frozen=True)
class Samples:
    """Pictures of a generator as CLIP sees them.

    Args:
        w: their codes, [N, w_dim].
        e: CLIP's unit vectors of them, [N, d].
    """

    w: Tensor
    e: Tensor


@dataclass(frozen=True)
class Found:
    """A direction with its names.

    Args:
        less, more: the words at its two ends.
        likeness: the cosine of the direction and that between its words.
        share: of the variance of what CLIP sees, in [0, 1], along the principal direction.
        step: in W, [w_dim]: `STEP` standard deviations of the samples.
    """

    less: str
    more: str
    likeness: float
    share: float
    step: Tensor


def looked_at(
    model: StyleGenerator,
    encoder: Encoder,
    count: int,
    psi: float,
    begun: list[Tensor],
    after_step: AfterStep,
) -> Samples:
    """The samples of the seeds from 0 on.

    Args:
        model: the generator.
        encoder: CLIP.
        count: N.
        psi: truncation.
        begun: the vectors of batches that an earlier call has looked at; it grows.
        after_step: called after each batch.
    """
    w, see = model.sample(range(count), psi), area(encoder.side)
    parts = w.split(BATCH)
    for i in range(len(begun), len(parts)):
        pictures = model.synthesise(model.styles(model.wplus(parts[i]))).pictures.clamp(-1.0, 1.0)
        begun.append(encoder.images(see((pictures + 1.0) / 2.0, ())[:, 0]))
        after_step(i + 1, len(parts))
    return Samples(w, torch.cat(begun))


def principal(e: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first principal directions of e, [K, d] of unit length, and their shares of its variance, [K].

    e: [N, d]. count: the largest K.
    """
    differences = (e - e.mean(0)).double()
    _, s, directions = torch.linalg.svd(differences, full_matrices=False)
    shares = s.square() / s.square().sum().clamp(min=1e-30)
    real = int((s > 1e-6 * float(e.double().norm())).sum())  # smaller ones are rounding
    count = min(count, real)
    return directions[:count].to(e), shares[:count].to(e)


def word_vectors(encoder: Encoder, words: Sequence[str]) -> Tensor:
    """CLIP's vectors of words less their mean, [V, d] of unit length."""
    t = encoder.texts([SENTENCE.format(word) for word in words])
    return F.normalize(t - t.mean(0), dim=-1)


def named(
    directions: Tensor, words: Sequence[str], vectors: Tensor, count: int
) -> list[tuple[int, int, int, float]]:
    """The first directions that words can name, as (direction, word at its lower end, at its upper end,
    cosine of the direction and the way between the words). Each word names one end only.

    Args:
        directions: [K, d], in the order of their importance.
        words: V of them.
        vectors: [V, d], of the words.
        count: the most directions.

    A direction has no sign: it leads towards the word that it is most alike.
    """
    free, found = torch.ones(len(words), dtype=torch.bool, device=vectors.device), []
    for k, p in enumerate(directions):
        if len(found) == count or int(free.sum()) < 2:
            break
        likeness = vectors @ p
        high = likeness.masked_fill(~free, -2.0)
        low = likeness.masked_fill(~free, 2.0)
        more, less = int(high.argmax()), int(low.argmin())
        if -float(low[less]) > float(high[more]):
            more, less, likeness = less, more, -likeness
        way = F.normalize(vectors[more] - vectors[less], dim=0)
        found.append((k, less, more, abs(float(way @ p))))
        free[[less, more]] = False
    return found


def regressed(w: Tensor, places: Tensor) -> Tensor:
    """B [K, w_dim] of w - mean = places B by ridge regression, scaled to `STEP` standard deviations of each.

    w: [N, w_dim]. places: [N, K], of the samples along the directions.
    """
    y = (places - places.mean(0)).double()
    deviation = y.square().mean(0).sqrt().clamp(min=1e-12)
    y = y / deviation
    x = (w - w.mean(0)).double()
    ridge = RIDGE * len(y) * torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
    return (STEP * torch.linalg.solve(y.T @ y + ridge, y.T @ x)).to(w)


def discovered(
    samples: Samples, words: Sequence[str], vectors: Tensor, count: int, *, apart: bool = True
) -> list[Found]:
    """The directions, the most important first.

    Args:
        samples: of the generator.
        words: to name them with.
        vectors: `word_vectors`, [V, d].
        count: the most directions.
        apart: whether a direction is what its words mean alone, in place of all that varies with it.
    """
    span, shares = principal(samples.e, SPAN)
    names = named(span, words, vectors, count)
    if not names:
        return []
    directions: list[Tensor] = []
    for k, less, more, _ in names:
        p = span[k]
        way = vectors[more] - vectors[less]
        if apart:
            p = F.normalize((span @ way) @ span, dim=0)
        elif way @ p < 0.0:
            p = -p
        directions.append(p)
    places = (samples.e - samples.e.mean(0)) @ torch.stack(directions).T
    steps = regressed(samples.w, places)
    return [
        Found(words[less], words[more], likeness, float(shares[k]), step)
        for (k, less, more, likeness), step in zip(names, steps, strict=True)
    ]
