"""What an edit by a flow needs of the layer alone: its latents, its noises, and how the model sees both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from velatura.cache.cache import Cache
from velatura.cache.keys import key, key_of
from velatura.diffusion import noise
from velatura.diffusion.network import LatentDiffusion
from velatura.prompt_to_prompt.features import Features


@dataclass
class Source:
    """A layer with its noises, at every level of a run.

    z0: [1, C, h, w]. caption: c_src. sigmas: n + 1 levels, decreasing, the last 0. noises: draws a step whose
    pulls are averaged (n_avg of FlowEdit). n: of each step, [N * noises, C, h, w], those of one variation
    beside each other. D: of each step D(q; c_src), the same shape, None until a run has computed it.
    features: of the passes that computed it, queries and keys of self-attention, as far as they are kept.
    """

    z0: Tensor
    caption: str
    sigmas: list[float]
    noises: int
    n: list[Tensor]
    D: list[Tensor | None]
    features: Features

    @property
    def variations(self) -> int:
        """N."""
        return len(self.n[0]) // self.noises

    def q(self, i: int) -> Tensor:
        """The noised source of step i in the form x = z0 + sigma n."""
        return self.z0 + self.sigmas[i] * self.n[i]


@contextmanager
def kept(
    cache: Cache,
    model: LatentDiffusion,
    z0: Tensor,
    caption: str,
    sigmas: Sequence[float],
    seeds: Sequence[int],
    noises: int = 1,
) -> Iterator[Source]:
    """A source, with what is remembered of it; what a run adds to it is remembered when it ends, however.

    It depends on the layer, its caption, the levels and the seeds, and on nothing that an edit changes: so a
    moved dial or another wish pays for its own texts only.

    Args:
        cache: keeps D of every step, a seed at a time, and queries and keys.
        seeds: one a variation. Each makes its noises itself, so a batch does not matter to them.
    """
    steps = len(sigmas) - 1
    shape = (steps * noises, *z0.shape[1:])
    drawn = noise.standard_normal(seeds, shape).to(z0).unflatten(1, (steps, noises))
    names = [
        key_of(
            model,
            flow="D(q; c_src)",
            z0=z0,
            caption=caption,
            sigmas=list(sigmas),
            seed=seed,
            noises=noises,
        )
        for seed in seeds
    ]
    shelves: list[dict[int, Tensor]] = [cache.kept(name, lambda _: {}) for name in names]
    D = [
        torch.cat([shelf[i] for shelf in shelves]) if all(i in shelf for shelf in shelves) else None
        for i in range(steps)
    ]
    together = key(flow="Q, K", of=names)
    room = partial(cache.make_room, together)
    features = cache.kept(together, lambda _: Features(cache.largest, room))
    n = [drawn[:, i].flatten(0, 1) for i in range(steps)]
    source = Source(z0, caption, list(sigmas), noises, n, D, features)
    try:
        yield source
    finally:
        for number, (name, shelf) in enumerate(zip(names, shelves, strict=True)):
            for i, known in enumerate(source.D):
                if known is not None and i not in shelf:
                    shelf[i] = known[number * noises : (number + 1) * noises].clone()
            cache.keep(name, shelf)
        cache.keep(together, features)
