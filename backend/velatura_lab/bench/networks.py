"""Networks of the families of models at their real widths, with random weights, which take as long as trained
ones. Their depth is chosen, for not every machine holds twenty thousand million weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformer2DModel
from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from velatura.diffusion import noise
from velatura.diffusion.condition import Condition
from velatura.models import noise_levels
from velatura.models.families.flux1 import Flux1
from velatura.models.families.flux2 import Flux2
from velatura.models.families.qwen_image import QwenImage
from velatura.models.families.sd import StableDiffusion
from velatura.models.families.sdxl import StableDiffusionXL
from velatura.models.families.z_image import ZImage
from velatura.models.latent import LatentModel

from . import shapes

CAPTION, WANTED, NEGATIVE = "a man with short hair", "a man with long hair", ""
"""The prompts that a model knows."""
_SHIFTED = {"use_dynamic_shifting": True, "time_shift_type": "exponential"}
_NARROW = 4  # divisor of an autoencoder's channels in narrow networks
_FOUR = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
_UNET_CHANNELS = 10  # divisor of a UNet's channels in narrow networks


@dataclass(frozen=True)
class Size:
    """How large a network is made.

    Args:
        depth: blocks of each kind; see `Shape.depth`.
        pixels: side of the pictures.
        steps: of a usual run, on which noise levels depend.
        narrow: whether it has one head of attention and few channels, to try a measurement out.
    """

    depth: int
    pixels: int
    steps: int
    narrow: bool = False


@dataclass(frozen=True)
class Shape:
    """The shape of a family's network.

    Args:
        family: a key of `velatura.models.recognition.FAMILIES`.
        title: for the report.
        depth: of the whole network: the blocks of its first kind; of a UNet the most in one level.
        pixels: side of the pictures that it was trained on.
        tokens, width: of a prompt's states.
        pooled: values of the pooled vector; 0 if there is none.
        guidance: the usual scale of classifier-free guidance; 1 where the scale is an input.
        readers: millions of weights of each text encoder, as far as it is loaded.
        network: makes the denoising network.
        autoencoder: makes the autoencoder.
        model: the family's class.
        more: further arguments of the class.
    """

    family: str
    title: str
    depth: int
    pixels: int
    tokens: int
    width: int
    pooled: int
    guidance: float
    readers: Sequence[float]
    network: Callable[[Size], nn.Module]
    autoencoder: Callable[[Size], nn.Module]
    model: Callable[..., LatentModel]
    more: Callable[[Size], Mapping[str, Any]]

    def made(self, size: Size, device: torch.device, dtype: torch.dtype) -> LatentModel:
        """The model, without text encoders: it knows the conditions of `CAPTION`, `WANTED` and `NEGATIVE`
        alone, which are random."""
        with torch.random.fork_rng(devices=[]), device, shapes.default(dtype):
            torch.manual_seed(0)
            network, autoencoder = self.network(size), self.autoencoder(size)
            for name, weight in network.named_parameters():
                if name.endswith("pad_token"):  # allocated without values
                    nn.init.zeros_(weight)
        prompts = (CAPTION, WANTED, NEGATIVE)
        known = OrderedDict((prompt, self._condition(i, device)) for i, prompt in enumerate(prompts))
        denoiser = {"unet" if isinstance(network, UNet2DConditionModel) else "transformer": network}
        return self.model(
            id=self.family,
            digest="",
            autoencoder=autoencoder,
            device=device,
            dtype=dtype,
            _prompts=known,
            **denoiser,
            **self.more(size),
        )

    def _condition(self, seed: int, device: torch.device) -> Condition:
        drawn = noise.standard_normal([seed], (self.tokens, self.width)).to(device)
        if not self.pooled:
            return Condition(drawn)
        return Condition(drawn, parts={"pooled": noise.standard_normal([seed], (self.pooled,)).to(device)})


def _unet(name: str) -> Callable[[Size], nn.Module]:
    def make(size: Size) -> nn.Module:
        config = dict(shapes.SHAPES[name])
        config["layers_per_block"] = min(2, size.depth)
        config["sample_size"] = size.pixels // 8
        if name == "sdxl":
            layers = (min(layers, size.depth) for layers in config["transformer_layers_per_block"])
            config |= {
                "transformer_layers_per_block": tuple(layers),
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": 2816,
            }
        if size.narrow:
            config["block_out_channels"] = tuple(c // _UNET_CHANNELS for c in config["block_out_channels"])
            config["attention_head_dim"] = 1
        return UNet2DConditionModel(**config)

    return make


def _flux1(size: Size) -> nn.Module:
    heads = 1 if size.narrow else 24
    return FluxTransformer2DModel(
        num_layers=size.depth,
        num_single_layers=2 * size.depth,
        num_attention_heads=heads,
        guidance_embeds=True,
    )


def _klein(size: Size) -> nn.Module:
    return Flux2Transformer2DModel(
        num_layers=size.depth,
        num_single_layers=4 * size.depth,
        num_attention_heads=1 if size.narrow else 24,
        joint_attention_dim=7680,
        guidance_embeds=False,
    )


def _z_image(size: Size) -> nn.Module:
    heads = 1 if size.narrow else 30
    return ZImageTransformer2DModel(
        dim=128 * heads,
        n_heads=heads,
        n_kv_heads=heads,
        n_layers=size.depth,
        n_refiner_layers=min(2, size.depth),
        axes_lens=[1536, 512, 512],
    )


def _qwen_image(size: Size) -> nn.Module:
    heads = 1 if size.narrow else 24
    return QwenImageTransformer2DModel(num_layers=size.depth, num_attention_heads=heads)


def _kl(channels: int) -> Callable[[Size], nn.Module]:
    def make(size: Size) -> nn.Module:
        down, up = _FOUR
        return AutoencoderKL(
            down_block_types=down,  # pyright: ignore[reportArgumentType] - typed as one
            up_block_types=up,  # pyright: ignore[reportArgumentType] - typed as one
            block_out_channels=_channels(size),  # pyright: ignore[reportArgumentType] - typed as one
            layers_per_block=2,
            latent_channels=channels,
        )

    return make


def _flux2_kl(size: Size) -> nn.Module:
    return AutoencoderKLFlux2(block_out_channels=_channels(size))


def _qwen_kl(size: Size) -> nn.Module:
    return AutoencoderKLQwenImage(base_dim=96 // _NARROW if size.narrow else 96)


def _channels(size: Size) -> tuple[int, ...]:
    return tuple(c // (_NARROW if size.narrow else 1) for c in (128, 256, 512, 512))


def _levels(_: Size) -> dict[str, Any]:
    absent = nn.Module()
    return {
        "training_sigmas": noise_levels.training_sigmas(noise_levels.scheduled_betas(LEVELS)),
        "prediction": "epsilon",
        "guidance_rescale": 0.0,
        "text_encoder": absent,
        "tokenizer": None,
    }


def _sdxl(size: Size) -> dict[str, Any]:
    return _levels(size) | {"text_encoder_2": nn.Module(), "tokenizer_2": None}


def _flow(size: Size, scheduler: Mapping[str, Any]) -> dict[str, Any]:
    return {"side": size.pixels, "scheduler": scheduler, "text_encoder": nn.Module()}


def _flux1_parts(size: Size) -> dict[str, Any]:
    own = {"text_encoder_2": nn.Module(), "tokenizer": None, "tokenizer_2": None, "guidance": 3.5}
    return _flow(size, {"use_dynamic_shifting": True}) | own


def _klein_parts(size: Size) -> dict[str, Any]:
    return _flow(size, _SHIFTED) | {"template": None, "layers_read": (), "steps": size.steps}


def _z_image_parts(size: Size) -> dict[str, Any]:
    return _flow(size, {"shift": 6.0}) | {"template": None}


def _qwen_parts(size: Size) -> dict[str, Any]:
    scheduler = {
        "use_dynamic_shifting": True,
        "base_shift": 0.5,
        "max_shift": 0.9,
        "max_image_seq_len": 8192,
        "shift_terminal": 0.02,
    }
    return _flow(size, scheduler) | {"tokenizer": None, "processor": None, "steps": size.steps}


LEVELS: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
"""diffusers' configuration of the noise levels of Stable Diffusion."""
_CLIP_L, _CLIP_G, _T5, _QWEN_VL = 123.1, 694.7, 4762.3, 7746.0
_QWEN3_4B, _QWEN3_27 = 4022.5, 3114.5  # whole, and up to the layer that klein reads
SHAPES: dict[str, Shape] = {
    "sd15": Shape(
        *("sd", "Stable Diffusion 1.5", 2, 512, 77, 768, 0, 7.5, (_CLIP_L,)),
        *(_unet("sd15"), _kl(4), StableDiffusion, _levels),
    ),
    "sdxl": Shape(
        *("sdxl", "Stable Diffusion XL", 10, 1024, 77, 2048, 1280, 5.0, (_CLIP_L, _CLIP_G)),
        *(_unet("sdxl"), _kl(4), StableDiffusionXL, _sdxl),
    ),
    "flux1": Shape(
        *("flux1", "FLUX.1 dev", 19, 1024, 512, 4096, 768, 1.0, (_CLIP_L, _T5)),
        *(_flux1, _kl(16), Flux1, _flux1_parts),
    ),
    "klein": Shape(
        *("flux2", "FLUX.2 klein 4B", 5, 1024, 512, 7680, 0, 4.0, (_QWEN3_27,)),
        *(_klein, _flux2_kl, Flux2, _klein_parts),
    ),
    "z-image": Shape(
        *("z-image", "Z-Image", 30, 1024, 128, 2560, 0, 4.0, (_QWEN3_4B,)),
        *(_z_image, _kl(16), ZImage, _z_image_parts),
    ),
    "qwen-image": Shape(
        *("qwen-image", "Qwen-Image", 60, 1024, 128, 3584, 0, 4.0, (_QWEN_VL,)),
        *(_qwen_image, _qwen_kl, QwenImage, _qwen_parts),
    ),
}
