"""Directions of a generator that nobody has asked for: principal directions of what CLIP sees, with names.

Abdal, Zhu, Femiani, Mitra & Wonka 2022, CLIP2StyleGAN: Unsupervised Extraction of StyleGAN Edit Directions,
arXiv:2112.05219. In three steps:

1. Sampled pictures differ from their mean in CLIP's space; the principal directions of these differences are
   what pictures of the generator differ in most (`principal`).
2. A direction's ends get the names of the words that lie nearest (`named`). Words are differences too, from
   their own mean: so the gap between CLIP's pictures and CLIP's texts is in neither. A principal direction
   mixes what varies together; in its place the word's own direction, as far as the pictures vary in it, is
   what the word means alone.
3. The codes of the samples are regressed on their places along all the directions at once (`regressed`): a
   direction's step in W is the part of the change that no other direction explains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.values import storable
from velatura.clip_guidance import loss
from velatura.generators.styles import StyleGenerator

from .clip_losses import area

BATCH = 16  # pictures that are made and looked at together
SPAN = 32  # principal directions in which pictures are taken to vary
RIDGE = 1e-2  # of the regression, as a share of the mean variance of the places
LEAST = 0.25  # cosine of a word and of the end of a direction that it names
STEP = 2.0  # of a dial at 1, in standard deviations of the samples' places along the direction
SENTENCE = "a photo of a face, {}"

AfterStep = Callable[[int, int], None]
"""after_step(i, n): called when part i of n, from 1, is done. It may raise to stop."""


class Encoder(loss.Encoder, Protocol):
    """A CLIP that reads many texts at once; see `velatura.companions.clip`."""

    def texts(self, sentences: Sequence[str]) -> Tensor:
        """Unit vectors [N, d] of N sentences."""
        ...


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
        word: at the end that it leads to.
        likeness: the cosine of the word and of the principal direction towards this end.
        share: of the variance of what CLIP sees, in [0, 1], along the principal direction.
        step: in W, [w_dim]: `STEP` standard deviations of the samples.
    """

    word: str
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


class Name(NamedTuple):
    """A word at an end of a principal direction.

    Args:
        direction: its number.
        end: 1.0 or -1.0.
        word: the word's number.
        likeness: the cosine of the word and of the direction towards this end.
    """

    direction: int
    end: float
    word: int
    likeness: float


def named(directions: Tensor, vectors: Tensor) -> list[Name]:
    """The nearest word at both ends of each direction, the more alike end first. Each word names one end; an
    end that no free word is near (`LEAST`) has none.

    directions: [K, d], in the order of their importance. vectors: [V, d], of the words.
    """
    free = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
    found: list[Name] = []
    for k, p in enumerate(directions):
        along = vectors @ p
        first = 1.0 if _best(along, free) >= _best(-along, free) else -1.0
        for end in (first, -first):
            if (best := _best(end * along, free)) >= LEAST:
                word = int((end * along).masked_fill(~free, -2.0).argmax())
                found.append(Name(k, end, word, best))
                free[word] = False
    return found


def _best(along: Tensor, free: Tensor) -> float:
    return float(along.masked_fill(~free, -2.0).max()) if len(along) else -2.0


def regressed(w: Tensor, places: Tensor, groups: Sequence[int]) -> Tensor:
    """The step of each direction in W, [K, w_dim]: `STEP` standard deviations along it, by ridge regression
    of the codes on the places along this direction and those of other groups.

    Args:
        w: [N, w_dim].
        places: [N, K], of the samples along the directions.
        groups: of the directions; those of one group say much the same, and do not explain each other away.
    """
    y = (places - places.mean(0)).double()
    y = y / y.square().mean(0).sqrt().clamp(min=1e-12)
    x = (w - w.mean(0)).double()
    steps: list[Tensor] = []
    for k, group in enumerate(groups):
        with_k = y[:, [k, *(j for j, other in enumerate(groups) if other != group)]]
        ridge = RIDGE * len(y) * torch.eye(with_k.shape[1], dtype=y.dtype, device=y.device)
        steps.append(torch.linalg.solve(with_k.T @ with_k + ridge, with_k.T @ x)[0])
    return (STEP * torch.stack(steps)).to(w)


def discovered(
    samples: Samples, words: Sequence[str], vectors: Tensor, count: int, *, apart: bool = True
) -> list[Found]:
    """The directions, the most important first.

    Args:
        samples: of the generator.
        words: to name them with.
        vectors: `word_vectors`, [V, d].
        count: the most directions.
        apart: whether a direction is what its word means alone, in place of all that varies with it. Both
            ends of a principal direction then have one, each with its own word.
    """
    span, shares = principal(samples.e, SPAN)
    names = named(span, vectors)
    if not apart:
        names = list({name.direction: name for name in reversed(names)}.values())[::-1]
    names = names[:count]
    if not names:
        return []
    directions = [
        F.normalize((span @ vectors[name.word]) @ span, dim=0) if apart else name.end * span[name.direction]
        for name in names
    ]
    places = (samples.e - samples.e.mean(0)) @ torch.stack(directions).T
    steps = regressed(samples.w, places, [name.direction for name in names])
    return [
        Found(words[name.word], name.likeness, float(shares[name.direction]), step)
        for name, step in zip(names, steps, strict=True)
    ]
