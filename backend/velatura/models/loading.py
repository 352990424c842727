"""One loader for every form of a model: a diffusers folder, a single .safetensors file, a hub id, or a form
that another package loads.

Weights are read from .safetensors only; code of a model is never run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, TypedDict

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from huggingface_hub import snapshot_download
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.generators import kinds
from velatura.generators.protocol import Generator
from velatura.weights.digests import Digests, contents
from velatura.weights.json_files import check_files, check_sizes, read_object
from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError

from . import noise_levels, pixels, single_file
from .catalogue import ModelEntry
from .headers import read_header
from .model import Model

_CLASSES = {
    "unet": {"UNet2DConditionModel": UNet2DConditionModel},
    "vae": {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny},
}
_NETWORKS = ("unet", "vae", "text_encoder")
_GUIDANCE_RESCALE = 0.7  # phi for a model that knows pure noise; the best of Lin et al. 2024, section 3.4
_PREDICTIONS = ("epsilon", "v_prediction", "sample")


class _Parts(TypedDict):
    """The networks and the tokenizer, by their names in `Model`."""

    unet: UNet2DConditionModel
    autoencoder: AutoencoderKL | AutoencoderTiny
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer


_HUB_FILES = ["model_index.json", "*/*.json", "*/*.txt", *(f"{part}/*.safetensors" for part in _NETWORKS)]


@torch.inference_mode(False)  # weights made in inference mode can take part in no gradient, even if frozen
def load(entry: ModelEntry, device: torch.device, dtype: torch.dtype, digests: Digests) -> Generator:
    """Loads a model onto a device. Raises `unknown-model`, with a sentence that names the fault.

    Args:
        entry: the model.
        device: for its networks.
        dtype: of its networks; latents are float32 throughout.
        digests: computes the digests of files, and caches them.
    """
    if entry.fault:
        raise VelaturaError("unknown-model", entry.fault)
    try:
        if loader := kinds.loader(entry.kind):
            path = Path(entry.path)
            digest = digests.of(*contents(path))
            return loader.load(path, entry.id, digest, device, dtype)
        if entry.kind == "pixels":
            folder = Path(entry.path)
            return pixels.load(folder, entry.id, digests.of(_files(folder), folder), device, dtype)
        if entry.kind == "file":
            parts, scheduler = _from_file(Path(entry.path), dtype)
            digest = digests.of([Path(entry.path)])
        else:
            folder = Path(entry.path) if entry.kind == "diffusers" else _from_hub(entry.path)
            parts, scheduler = _from_folder(folder, dtype)
            digest = digests.of(_files(folder), folder)
        betas = noise_levels.scheduled_betas(scheduler)
    except Exception as error:  # the libraries that read these files raise errors of all types
        if isinstance(error, VelaturaError) or is_out_of_memory(error):
            raise
        raise VelaturaError(
            "unknown-model",
            f"The model {entry.title!r} cannot be read from {entry.path}; fetch it again or remove it.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in _PREDICTIONS:
        raise VelaturaError(
            "unknown-model", f"The model {entry.title!r} predicts {prediction!r:.40}; choose another."
        )
    zero = bool(scheduler.get("rescale_betas_zero_snr", False))
    return Model(
        id=entry.id,
        digest=digest,
        **parts,
        training_sigmas=noise_levels.training_sigmas(betas, zero_terminal_snr=zero),
        prediction=prediction,
        guidance_rescale=_GUIDANCE_RESCALE if zero else 0.0,
        device=device,
        dtype=dtype,
    )


def _from_folder(folder: Path, dtype: torch.dtype) -> tuple[_Parts, dict[str, Any]]:
    """The networks and the tokenizer, and the scheduler's configuration."""
    _check_folder(folder)
    networks: dict[str, Any] = {}
    for name in ("unet", "vae"):
        cls = _CLASSES[name][_config(folder, name)["_class_name"]]
        networks[name] = cls.from_pretrained(
            folder / name,
            variant=_variant(folder / name, "diffusion_pytorch_model"),
            low_cpu_mem_usage=False,
            local_files_only=True,
            use_safetensors=True,
            torch_dtype=dtype,
        )
    text_encoder = CLIPTextModel.from_pretrained(
        folder / "text_encoder",
        variant=_variant(folder / "text_encoder", "model"),
        dtype=dtype,
        local_files_only=True,
        use_safetensors=True,
    )
    parts: _Parts = {
        "unet": networks["unet"],
        "autoencoder": networks["vae"],
        "text_encoder": text_encoder,
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
    }
    return parts, _config(folder, "scheduler", "scheduler_config.json")


def _from_file(path: Path, dtype: torch.dtype) -> tuple[_Parts, dict[str, Any]]:
    """As `_from_folder`. diffusers converts the weights; its configuration is made from the file's header."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import (
        StableDiffusionPipeline,  # slow to import, and only this form needs it
    )

    header = read_header(path)
    with tempfile.TemporaryDirectory(prefix="velatura-") as temporary:
        folder = Path(temporary)
        single_file.write_configuration(header, folder)
        # diffusers takes the format from the file's name, and would unpickle other formats
        link = folder / "model.safetensors"
        link.symlink_to(path.resolve())
        pipeline = StableDiffusionPipeline.from_single_file(
            str(link),
            config=str(folder),
            local_files_only=True,
            torch_dtype=dtype,
            safety_checker=None,
            requires_safety_checker=False,
        )
        scheduler = _config(folder, "scheduler", "scheduler_config.json")
    parts: _Parts = {
        "unet": pipeline.unet,
        "autoencoder": pipeline.vae,
        "text_encoder": pipeline.text_encoder,
        "tokenizer": pipeline.tokenizer,
    }
    return parts, scheduler


def _from_hub(name: str) -> Path:
    """The folder of a hub model in the local cache, downloaded if necessary."""
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except Exception as error:  # the hub's client raises many kinds, of several libraries
        raise VelaturaError(
            "unknown-model",
            f"The model {name} could not be fetched; check name and connection, or give a local folder.",
            retryable=True,
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _check_folder(folder: Path) -> None:
    """Raises `unknown-model` unless the folder has a text-to-image model of the supported classes, and
    ValueError or OSError for invalid files."""
    missing = [name for name in (*_NETWORKS, "tokenizer", "scheduler") if not (folder / name).is_dir()]
    if missing:
        raise _unsupported(
            folder, f"has no folder {missing[0]!r}, so it is no Stable Diffusion model in diffusers' form"
        )
    check_files(folder)
    for name in _NETWORKS:
        check_sizes(_config(folder, name))
    if (folder / "text_encoder_2").is_dir():
        raise _unsupported(folder, "is a Stable Diffusion XL model")
    for name, classes in _CLASSES.items():
        cls = _config(folder, name).get("_class_name")
        if cls not in classes:
            raise _unsupported(folder, f"has a {name} of the kind {cls!r:.60}")
    if _config(folder, "unet").get("in_channels") != _config(folder, "unet").get("out_channels"):
        raise _unsupported(folder, "is an inpainting or instruction model")
    for name in _NETWORKS:
        if not any((folder / name).glob("*.safetensors")):
            raise _unsupported(folder, f"has no .safetensors weights in {name}; only those are read")


def _unsupported(folder: Path, what: str) -> VelaturaError:
    return VelaturaError("unknown-model", f"{folder} {what}; choose a Stable Diffusion 1 or 2 model.")


def _variant(folder: Path, stem: str) -> str | None:
    """'fp16' if the folder has weights of this variant only."""
    return None if any(folder.glob(f"{stem}.safetensors*")) or not any(folder.glob("*.fp16.*")) else "fp16"


def _config(folder: Path, name: str, file: str = "config.json") -> dict[str, Any]:
    return read_object(folder / name / file)


def _files(folder: Path) -> list[Path]:
    """The files that a model's output depends on."""
    patterns = ("model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors")
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
