"""The places where two captions of a layer disagree, for the methods that look for them.

Couairon et al. 2023, DiffEdit: Diffusion-based semantic image editing with mask guidance, section 3.2, step
1."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from velatura_protocol.errors import VelaturaError

from . import fields
from .base import WHOLE, Context, Stage

if TYPE_CHECKING:
    from torch import Tensor


class Differing(NamedTuple):
    """How two captions are compared.

    Args:
        prompt: the wanted caption.
        source_prompt: the caption of the layer as it is.
        noise: the noise level, as a share of the training times.
        looks: the noises of one map.
    """

    prompt: str
    source_prompt: str
    noise: float
    looks: int

    def maps(self, context: Context, z0: Tensor, seeds: list[int], stage: Stage = WHOLE) -> list[Tensor]:
        """A map [h, w] in [0, 1] for each seed; see `velatura.diffusion.difference`. Kept for a layer.

        Raises `empty-prompt` without a caption of the layer, `bad-request` if the captions are the same.

        Args:
            context: of the run.
            z0: [1, C, h, w], the layer's latents.
            seeds: of the noises.
            stage: of the run.
        """
        from velatura.cache.keys import key_of
        from velatura.diffusion import noise, schedule
        from velatura.diffusion.difference import difference

        model, source_prompt = context.model, fields.shown_now(self.source_prompt)
        c, c_other = model.encode_prompt(self.prompt), model.encode_prompt(source_prompt)
        if c.equal(c_other):  # the model ignores capitals and spaces
            raise VelaturaError("bad-request", "Both captions are the same; change a word in the prompt.")
        sigma = schedule.sigmas(model.training_sigmas, 1, self.noise)[0]
        steps = self.looks * len(seeds)

        def map_of(number: int, seed: int) -> Tensor:
            done = self.looks * number

            def make(_: list[Tensor]) -> Tensor:
                noises = noise.looks(seed, self.looks, z0)
                return difference(
                    model, z0, c, c_other, sigma, noises, lambda i: context.step(done + i, steps, stage=stage)
                )

            asked = [self.prompt, source_prompt, seed, self.looks]
            return context.kept(key_of(model, differing=z0, sigma=sigma, asked=asked), make)

        return [map_of(number, seed) for number, seed in enumerate(seeds)]
