"""How well a picture shows its prompt, read by the diffusion model that made it.

A diffusion classifier (Li et al. 2023, Your Diffusion Model is Secretly a Zero-Shot Classifier,
arXiv:2303.16203, algorithm 1) between two texts: which of them helps the model more to denoise the picture?
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

from .reader import composite

#: The looks: each a noise level, as a share of the training times, and the seed of its noise, which is the
#: same for all pictures.
LOOKS = ((0.65, 1), (0.8, 2))


@dataclass(frozen=True)
class Asked:
    """The request to rank by.

    Args:
        model: reads the pictures.
        seen: the picture and the mask that the model edited.
        prompt: a description of the wanted picture.
        other: a description of the picture without the edit, if there is one; else ''.
    """

    model: LatentDiffusion
    seen: Seen
    prompt: str
    other: str = ""

    @property
    def looks(self) -> int:
        """The number of looks at each picture."""
        return len(LOOKS)

    @torch.inference_mode()
    def read(self, pictures: Sequence[np.ndarray], check: Callable[[], None]) -> list[float] | None:
        """How much more each picture fits the prompt than the other text, in [0, 1]; None if there is no
        prompt.

        pictures: [h, w, 3] in [0, 1] at the model's size. Composited over the source by the mask and encoded,
        they give the latents z. check: called before each pass through the network; it raises to cancel.

        With x = z + sigma n, the predictions D_p = D(x; sigma, prompt) and D_o = D(x; sigma, other), and sums
        over all of the latents,

            r = mean over (sigma, n) of  sum(|D_o - z|^2 - |D_p - z|^2) / sum |D_p - D_o|^2,

        which is 1 if z is the prediction for the prompt, and -1 if z is the prediction for the other text.
        The numerator is sigma^2 times the difference of the errors in the noise that Li et al. compare; the
        denominator makes it independent of the texts' effect at that level, so that all levels count equally.
        The result is 1 / (1 + exp(-r)); it is 0.5 if both texts give the same predictions.
        """
        if not self.prompt:
            return None
        other = "" if self.other == self.prompt else self.other  # two different texts are needed
        c = cat([self.model.encode_prompt(text) for text in (self.prompt, other)])
        readings: list[float] = []
        for picture in pictures:
            z = self._encoded(picture)
            r: list[Tensor] = []
            for time, seed in LOOKS:
                check()
                sigma = level(self.model.training_sigmas, time)
                n = standard_normal([seed], z.shape[1:]).to(z)
                x = (z + sigma * n).expand(2, -1, -1, -1)
                r.append(position(z, *denoise(self.model, x, sigma, c).split(1)))
            readings.append(torch.stack(r).nan_to_num(0.0).mean().sigmoid().item())
        return readings

    def _encoded(self, picture: np.ndarray) -> Tensor:
        return self.model.encode(composite(self.seen, picture, self.model.device) * 2.0 - 1.0)


def level(training_sigmas: np.ndarray, time: float) -> float:
    """The noise level at a share of the training times."""
    return float(training_sigmas[round(time * len(training_sigmas)) - 1])


def position(z: Tensor, D_p: Tensor, D_o: Tensor) -> Tensor:
    """The position of z on the line through two predictions, each [1, C, h, w]: 1 at D_p, -1 at D_o. Not
    finite if they are equal."""
    return ((D_o - z).square().sum() - (D_p - z).square().sum()) / (D_p - D_o).square().sum()
