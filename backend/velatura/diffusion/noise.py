"""Noise that depends on the seed alone, and neither on the batch nor on the device."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import torch
from torch import Tensor

SEEDS = 2**31  # of all seeds


class Seed(int):
    """The seed of a variation that lies close to others (SPEC section 6, `x-around`).

    As a number it is the seed of the first one, so code that knows no path makes what that one made.

    Args:
        own: the variation's seed.
        path: (seed, share of the way to the next) of the others; not empty. The last share leads to `own`.
    """

    def __new__(cls, own: int, path: Sequence[tuple[int, float]]) -> Seed:
        made = super().__new__(cls, path[0][0])
        made.own, made.path = own, tuple(path)
        return made

    own: int
    path: tuple[tuple[int, float], ...]

    @property
    def turns(self) -> list[tuple[int, float]]:
        """(seed, share) of each step: how far it leads from what the steps before gave to this seed."""
        shares = [share for _, share in self.path]
        return list(zip([*(seed for seed, _ in self.path[1:]), self.own], shares, strict=True))

    @property
    def made_of(self) -> list[object]:
        """The value for the name of a cached value (`velatura.cache.keys`)."""
        return [self.own, [list(step) for step in self.path]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seed) and self.made_of == other.made_of

    def __ne__(self, other: object) -> bool:
        return not self == other  # a number has an operator of its own

    def __hash__(self) -> int:
        return hash((self.own, self.path))


def close_to(own: int, path: Sequence[tuple[int, float]]) -> int:
    """The seed `own`, close to those of the path; itself where the path is empty."""
    return Seed(own, path) if path else own


def own(seed: int) -> int:
    """The variation's own seed as a plain number."""
    return seed.own if isinstance(seed, Seed) else seed


def shifted(seed: int, by: int) -> int:
    """Another seed, and another path where it has one."""
    if isinstance(seed, Seed):
        return Seed((seed.own + by) % SEEDS, [((other + by) % SEEDS, share) for other, share in seed.path])
    return (seed + by) % SEEDS


def turned(a: Tensor, b: Tensor, share: float) -> Tensor:
    """cos(t) a + sin(t) b, t = share pi / 2: N(0, I) again for independent a, b ~ N(0, I).

    Spherical interpolation (Shoemake 1985, Animating Rotation with Quaternion Curves, eq. for slerp; White
    2016, arXiv:1609.04468, for latents) at the angle pi/2 that independent noises have in high dimensions.
    """
    return a * (math.cos(share * math.pi / 2) if share < 1.0 else 0.0) + b * math.sin(share * math.pi / 2)


def drawn(
    seed: int, draw: Callable[[int], Tensor], mix: Callable[[Tensor, Tensor, float], Tensor] = turned
) -> Tensor:
    """The noise of a seed; of a `Seed` that of its path, step by step.

    Args:
        draw: gives the noise of a plain seed.
        mix: gives what lies at a share of the way from the first to the second.
    """
    if not isinstance(seed, Seed):
        return draw(seed)
    noise = draw(seed.path[0][0])
    for other, share in seed.turns:
        noise = mix(noise, draw(other), share)
    return noise


def chosen(seed: int, i: int) -> int:
    """The plain seed of step i of a method that draws anew at each step: of a `Seed`, each turn takes over
    its share of the steps."""
    if not isinstance(seed, Seed):
        return seed
    now = seed.path[0][0]
    for other, share in seed.turns:
        if random.Random(other * 1_000_003 + i).random() < share:
            now = other
    return now


def looks(seed: int, n: int, like: Tensor) -> list[Tensor]:
    """n noises, each [1, C, h, w] as `like` and of its own seed, counted from `seed` upwards."""
    seeds = [shifted(seed, i) for i in range(n)]
    return list(standard_normal(seeds, like.shape[1:]).to(like).split(1))


def standard_normal(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """n ~ N(0, I), [len(seeds), *shape] float32 on the CPU, with one generator a seed."""
    size = tuple(shape)
    return torch.stack(
        [drawn(seed, lambda one: torch.randn(size, generator=_generator(one))) for seed in seeds]
    )


def stream(seeds: Sequence[int], shape: Sequence[int]) -> Iterator[Tensor]:
    """Endless noise [len(seeds), *shape] float32 on the CPU, with one generator a seed, which begins behind
    the noise of `standard_normal`."""
    size, generators = tuple(shape), [_Generators() for _ in seeds]
    for number in count():
        now = [
            drawn(seed, lambda one, own=own: torch.randn(size, generator=own.of(one)))
            for seed, own in zip(seeds, generators, strict=True)
        ]
        if number:
            yield torch.stack(now)


class _Generators:
    """The generators of one variation, by seed."""

    def __init__(self) -> None:
        self._known: dict[int, torch.Generator] = {}

    def of(self, seed: int) -> torch.Generator:
        return self._known.setdefault(seed, _generator(seed))


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
