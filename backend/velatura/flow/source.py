"""The part of an edit by a flow that depends on the layer alone: latents, noises, and the predictions for
both."""

from __future__ import annotations

from collections.abc import Generator, Sequence
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

    Args:
        z0: the layer's latents [1, C, h, w].
        caption: c_src.
        sigmas: the levels, one more than steps, decreasing, the last 0.
        noises: the number of noises a step whose pulls are averaged (n_avg of FlowEdit).
        n: the noises of each step, [N * noises, C, h, w], those of one variation beside each other.
        D: D(q; c_src) of each step, the same shape; None until a run has computed it.
        features: queries and keys of self-attention in the passes that computed D, as far as they are kept.
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
) -> Generator[Source, None, None]:
    """A source with its cached parts. On exit, also after an error, the parts that the run has added are
    cached.

    The source depends on the layer, its caption, the levels and the seeds, and on no setting of an edit. So
    after a dial is moved only the predictions for its own texts are computed.

    Args:
        cache: keeps D of every step, separately for each seed, and queries and keys.
        model: makes D.
        z0: the layer's latents [1, C, h, w].
        caption: c_src.
        sigmas: the levels.
        seeds: one a variation. The noises of a seed do not depend on the batch.
        noises: as in `Source`.
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
