"""Whether a picture shows what was asked for, by the diffusion model that made it.

A diffusion classifier (Li et al. 2023, Your Diffusion Model is Secretly a Zero-Shot Classifier,
arXiv:2303.16203, algorithm 1) between two texts: which of them helps the model more to find the picture again
beneath noise?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from velatura.canvas.region import Seen
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.diffusion.network import LatentDiffusion
from velatura.diffusion.noise import standard_normal

#: What is looked through: a noise level, as a share of the training times, and the seed of its noise, which
#: is the same for all pictures.
LOOKS = ((0.65, 1), (0.8, 2))


@dataclass(frozen=True)
class Asked:
    """What was asked of a model, and what it was shown.

    prompt: what the pictures should show. other: what they would show if nothing had been done, as far as
    that is known in words; '' otherwise.
    """

    model: LatentDiffusion
    seen: Seen
    prompt: str
    other: str = ""

    @torch.inference_mode()
    def read(self, pictures: Sequence[np.ndarray], check: Callable[[], None]) -> list[float] | None:
        """How much more like the prompt than like the other text each picture is, in [0, 1]; None where there
        is no prompt.

        pictures: [h, w, 3] in [0, 1] at the model's size; laid over what was there by the mask, they are z,
        the latents. check: called before each pass through the network; it raises to cancel.

        With x = z + sigma n, the predictions D_p = D(x; sigma, prompt) and D_o = D(x; sigma, other), and sums
        over all of the latents,

            r = mean over (sigma, n) of  sum(|D_o - z|^2 - |D_p - z|^2) / sum |D_p - D_o|^2,

        which is 1 where z is what the prompt makes the model expect, and -1 where it is what the other text
        does. The numerator is sigma^2 times the difference of the errors in the noise that Li et al. compare;
        the denominator makes it independent of how much the words say at that level, so that every level
        counts alike. The result is 1 / (1 + exp(-r)), 0.5 where the model is told the same by both texts.
        """
        if not self.prompt:
            return None
        other = "" if self.other == self.prompt else self.other  # else there is nothing to tell apart
        c = cat([self.model.encode_prompt(text) for text in (self.prompt, other)])
        found = []
        for picture in pictures:
            z = self._encoded(picture)
            r = []
            for time, seed in LOOKS:
                check()
                sigma = level(self.model.training_sigmas, time)
                n = standard_normal([seed], z.shape[1:]).to(z)
                x = (z + sigma * n).expand(2, -1, -1, -1)
                r.append(position(z, *denoise(self.model, x, sigma, c).split(1)))
            found.append(torch.stack(r).nan_to_num(0.0).mean().sigmoid().item())
        return found

    def _encoded(self, picture: np.ndarray) -> Tensor:
        shown = self.seen.image + self.seen.mask[..., None] * (picture - self.seen.image)
        image = torch.from_numpy(shown).permute(2, 0, 1)[None].to(self.model.device, torch.float32)
        return self.model.encode(image * 2.0 - 1.0)


def level(training_sigmas: np.ndarray, time: float) -> float:
    """The noise level at a share of the training times."""
    return float(training_sigmas[round(time * len(training_sigmas)) - 1])


def position(z: Tensor, D_p: Tensor, D_o: Tensor) -> Tensor:
    """Where z lies between two predictions, each [1, C, h, w]: 1 at D_p, -1 at D_o, in steps of half their
    distance, measured along the line through both. Not finite where they are the same."""
    return ((D_o - z).square().sum() - (D_p - z).square().sum()) / (D_p - D_o).square().sum()
