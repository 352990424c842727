"""Diffusion models of pixel space: the network denoises the picture itself, and reads no text.

Such are OpenAI's guided diffusion (Dhariwal & Nichol 2021, arXiv:2105.05233), in diffusers' form, and
Velatura's own small one. Methods guide them by networks that look at the picture.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d import UNet2DModel
from torch import Tensor, nn

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Adapter, LatentDiffusion, Layer, Tokenized
from velatura.generators.protocol import PIXEL_DIFFUSION
from velatura.weights.json_files import check_files, check_sizes, read_object
from velatura.weights.precision import checked

from . import noise_levels
from .adapting import adapted, layers
from .pixel_files import patch

_COLOURS = 3
_PREDICTIONS = ("epsilon", "v_prediction", "sample")


@dataclass
class PixelModel(LatentDiffusion):
    """A model on its device. Its latents are pictures, [N, 3, h, w] in [-1, 1].

    Args:
        id: of the model's entry.
        digest: of its weights.
        unet: the network. With more than 3 input channels it sees each square of pixels as one place (3 p^2
            channels for squares of p x p). Output channels beyond those of the input are its variances, which
            no deterministic sampler needs.
        training_sigmas: the noise levels it was trained at, increasing, float64 [T].
        prediction: 'epsilon', 'v_prediction' or 'sample'.
        device, dtype: of the network.
    """

    id: str
    digest: str
    unet: UNet2DModel
    training_sigmas: np.ndarray
    prediction: str
    device: torch.device
    dtype: torch.dtype

    kind: ClassVar[str] = PIXEL_DIFFUSION
    guidance_rescale: float = 0.0

    def __post_init__(self) -> None:
        networks: dict[str, nn.Module] = {"unet": self.unet}
        network = networks["unet"]
        network.to(self.device).eval().requires_grad_(False)
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch lacks it

    @property
    def patch(self) -> int:
        """p, the side of the square of pixels that the network sees as one place."""
        return patch(self.unet.config["in_channels"])

    @property
    def multiple(self) -> int:
        """See `Generator`."""
        return self.patch * 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    @property
    def size(self) -> int:
        """See `Generator`."""
        return self.unet.config["sample_size"] * self.patch

    @property
    def latent_channels(self) -> int:
        """The channels of a picture."""
        return _COLOURS

    @property
    def latent_size(self) -> int:
        """The side of its pictures."""
        return self.size

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """None: it attends to no prompt."""
        return ()

    @property
    def layers(self) -> dict[str, Layer]:
        """See `LatentDiffusion`."""
        return layers(self.unet, "unet")

    def adapted(self, adapter: Adapter, *, gradients: bool = False) -> AbstractContextManager[None]:
        """See `LatentDiffusion`."""
        return adapted({"unet": self.unet}, "unet", adapter, gradients=gradients)

    def tokenized(self, prompt: str) -> Tokenized:
        """No tokens, whatever the prompt."""
        return Tokenized([], [], range(0))

    def encode_prompt(self, prompt: str) -> Condition:
        """The condition without states, [1, 0, 1], whatever the prompt."""
        return Condition(torch.zeros(1, 0, 1, device=self.device))

    def network(self, x: Tensor, t: float, condition: Condition, attend: Attend | None = None) -> Tensor:
        """See `Network`. Differentiable. A network that overflows computes in float32 from then on."""
        return checked(lambda: self._predict(x, t), [self.unet], f"the model {self.id!r}", x)

    def _predict(self, x: Tensor, t: float) -> Tensor:
        places = F.pixel_unshuffle(x, self.patch)
        channels = places.shape[1]
        places = places.to(self.unet.dtype, memory_format=torch.channels_last)
        time = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        prediction = self.unet(places, time, return_dict=False)[0][:, :channels]
        return F.pixel_shuffle(prediction.float(), self.patch)

    def encode(self, image: Tensor) -> Tensor:
        """The picture itself."""
        return image

    def decode(self, z: Tensor) -> Tensor:
        """The picture itself, in [-1, 1]."""
        return z.clamp(-1.0, 1.0)

    def decode_through(self, z: Tensor) -> Tensor:
        """The picture itself."""
        return z


def load(folder: Path, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> PixelModel:
    """The model in a folder with `unet` and `scheduler`, as diffusers' DDPMPipeline has them.

    Raises OSError or ValueError for invalid files.
    """
    check_files(folder)
    check_sizes(read_object(folder / "unet" / "config.json"))
    scheduler = read_object(folder / "scheduler" / "scheduler_config.json")
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in _PREDICTIONS:
        raise ValueError(f"it predicts {prediction!r:.40}")
    unet = UNet2DModel.from_pretrained(
        folder / "unet",
        low_cpu_mem_usage=False,
        local_files_only=True,
        use_safetensors=True,
        torch_dtype=dtype,
    )
    zero = bool(scheduler.get("rescale_betas_zero_snr", False))
    sigmas = noise_levels.training_sigmas(noise_levels.scheduled_betas(scheduler), zero_terminal_snr=zero)
    return PixelModel(id, digest, unet, sigmas, prediction, device, dtype)
