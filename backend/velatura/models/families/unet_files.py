"""Reads the parts that the folders of Stable Diffusion and Stable Diffusion XL have alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from velatura.weights.json_files import check_files, check_sizes
from velatura_protocol.errors import VelaturaError

from .. import noise_levels
from . import folders

_CLASSES = {
    "unet": {"UNet2DConditionModel": UNet2DConditionModel},
    "vae": {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny},
}
_GUIDANCE_RESCALE = 0.7  # phi for a model that knows pure noise; the best of Lin et al. 2024, section 3.4
_PREDICTIONS = ("epsilon", "v_prediction", "sample")


def from_folder(folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """The fields `unet` and `autoencoder` of a `UNetModel`."""
    unet, vae = (
        folders.network(_CLASSES[name][folders.config(folder, name)["_class_name"]], folder / name, dtype)
        for name in ("unet", "vae")
    )
    return {"unet": unet, "autoencoder": vae}


def levels(scheduler: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The fields of a `UNetModel` that a scheduler's configuration gives: noise levels and prediction.

    name: of the model, for a message. Raises `unknown-model` for a prediction of another type, ValueError for
    an impossible schedule.
    """
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in _PREDICTIONS:
        raise VelaturaError(
            "unknown-model", f"The model {name!r:.80} predicts {prediction!r:.40}; choose another."
        )
    zero = bool(scheduler.get("rescale_betas_zero_snr", False))
    betas = noise_levels.scheduled_betas(scheduler)
    return {
        "training_sigmas": noise_levels.training_sigmas(betas, zero_terminal_snr=zero),
        "prediction": prediction,
        "guidance_rescale": _GUIDANCE_RESCALE if zero else 0.0,
    }


def check(folder: Path, networks: Sequence[str]) -> None:
    """Raises `unknown-model` unless the folder has a text-to-image model of the supported classes, and
    ValueError or OSError for invalid files. networks: names of its parts that have weights."""
    missing = [name for name in (*networks, "tokenizer", "scheduler") if not (folder / name).is_dir()]
    if missing:
        raise _unsupported(
            folder, f"has no folder {missing[0]!r}, so it is no Stable Diffusion model in diffusers' form"
        )
    check_files(folder)
    for name in networks:
        check_sizes(folders.config(folder, name))
    if (folder / "text_encoder_2").is_dir():
        raise _unsupported(folder, "is a Stable Diffusion XL model")
    for name, classes in _CLASSES.items():
        cls = folders.config(folder, name).get("_class_name")
        if cls not in classes:
            raise _unsupported(folder, f"has a {name} of the kind {cls!r:.60}")
    unet = folders.config(folder, "unet")
    if unet.get("in_channels") != unet.get("out_channels"):
        raise _unsupported(folder, "is an inpainting or instruction model")
    for name in networks:
        if not any((folder / name).glob("*.safetensors")):
            raise _unsupported(folder, f"has no .safetensors weights in {name}; only those are read")


def _unsupported(folder: Path, what: str) -> VelaturaError:
    return VelaturaError("unknown-model", f"{folder} {what}; choose a Stable Diffusion 1 or 2 model.")
