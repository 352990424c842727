"""One loader for every form a model comes in: a diffusers folder, a single .safetensors file, a hub id, or a
form that another package loads.

Here weights are read from .safetensors only, code from a model never.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from huggingface_hub import snapshot_download
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.generators import kinds
from velatura.generators.protocol import Generator
from velatura.weights.digests import Digests
from velatura.weights.json_files import check_files, check_sizes, read_object
from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError

from . import noise_levels, single_file
from .catalogue import ModelEntry
from .model import Model

_CLASSES = {
    "unet": {"UNet2DConditionModel": UNet2DConditionModel},
    "vae": {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny},
}
_NETWORKS = ("unet", "vae", "text_encoder")
_GUIDANCE_RESCALE = 0.7  # phi for a model that knows pure noise; the best of Lin et al. 2024, section 3.4
_PREDICTIONS = ("epsilon", "v_prediction", "sample")
_HUB_FILES = ["model_index.json", "*/*.json", "*/*.txt", *(f"{part}/*.safetensors" for part in _NETWORKS)]


@torch.inference_mode(False)  # weights made in inference mode could take part in no gradient, not even frozen
def load(entry: ModelEntry, device: torch.device, dtype: torch.dtype, digests: Digests) -> Generator:
    """Loads a model onto a device. Raises `unknown-model`, in a sentence that says what is wrong with it.

    dtype: of the networks; latents are float32 throughout.
    """
    if entry.fault:
        raise VelaturaError("unknown-model", entry.fault)
    try:
        if loader := kinds.loader(entry.kind):
            path = Path(entry.path)
            digest = digests.of(*_contents(path))
            return loader.load(path, entry.id, digest, device, dtype)
        if entry.kind == "file":
            parts, scheduler = _from_file(Path(entry.path), dtype)
            digest = digests.of([Path(entry.path)])
        else:
            folder = Path(entry.path) if entry.kind == "diffusers" else _from_hub(entry.path)
            parts, scheduler = _from_folder(folder, dtype)
            digest = digests.of(_files(folder), folder)
        betas = noise_levels.scheduled_betas(scheduler)
    except Exception as error:  # the libraries that read these files raise every kind, bare Exception too
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


def _from_folder(folder: Path, dtype: torch.dtype) -> tuple[dict, dict]:
    """(networks and tokenizer by their names in `Model`, the scheduler's configuration)."""
    _check_folder(folder)
    kwargs = {"local_files_only": True, "use_safetensors": True, "torch_dtype": dtype}
    networks = {}
    for name in ("unet", "vae"):
        cls = _CLASSES[name][_config(folder, name)["_class_name"]]
        variant = _variant(folder / name, "diffusion_pytorch_model")
        networks[name] = cls.from_pretrained(
            folder / name, variant=variant, low_cpu_mem_usage=False, **kwargs
        )
    variant = _variant(folder / "text_encoder", "model")
    del kwargs["torch_dtype"]
    text_encoder = CLIPTextModel.from_pretrained(
        folder / "text_encoder", variant=variant, dtype=dtype, **kwargs
    )
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    parts = {"unet": networks["unet"], "autoencoder": networks["vae"]}
    parts |= {"text_encoder": text_encoder, "tokenizer": tokenizer}
    return parts, _config(folder, "scheduler", "scheduler_config.json")


def _from_file(path: Path, dtype: torch.dtype) -> tuple[dict, dict]:
    """As `_from_folder`. diffusers converts the weights, by a configuration made from the header."""
    from diffusers import StableDiffusionPipeline  # slow to import, and only this form needs it

    header = single_file.read_header(path)
    with tempfile.TemporaryDirectory(prefix="velatura-") as temporary:
        folder = Path(temporary)
        single_file.write_configuration(header, folder)
        link = (
            folder / "model.safetensors"
        )  # diffusers tells formats by their names, and would unpickle others
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
    parts = {"unet": pipeline.unet, "autoencoder": pipeline.vae}
    return parts | {"text_encoder": pipeline.text_encoder, "tokenizer": pipeline.tokenizer}, scheduler


def _from_hub(name: str) -> Path:
    """The folder of a hub model in the local cache, downloaded there if it is not."""
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
    """Raises `unknown-model` unless the folder holds a text-to-image model of the classes handled, ValueError
    or OSError where its files make no sense."""
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
        found = _config(folder, name).get("_class_name")
        if found not in classes:
            raise _unsupported(folder, f"has a {name} of the kind {found!r:.60}")
    if _config(folder, "unet").get("in_channels") != _config(folder, "unet").get("out_channels"):
        raise _unsupported(folder, "is an inpainting or instruction model")
    for name in _NETWORKS:
        if not any((folder / name).glob("*.safetensors")):
            raise _unsupported(folder, f"has no .safetensors weights in {name}; only those are read")


def _unsupported(folder: Path, what: str) -> VelaturaError:
    return VelaturaError("unknown-model", f"{folder} {what}; choose a Stable Diffusion 1 or 2 model.")


def _variant(folder: Path, stem: str) -> str | None:
    """'fp16' where only such weights are there."""
    return None if any(folder.glob(f"{stem}.safetensors*")) or not any(folder.glob("*.fp16.*")) else "fp16"


def _config(folder: Path, name: str, file: str = "config.json") -> dict:
    return read_object(folder / name / file)


def _contents(path: Path) -> tuple[list[Path], Path | None]:
    """All files of a model that another package loads, and the folder that they lie in, if it is one."""
    if path.is_file():
        return [path], None
    return sorted(file for file in path.rglob("*") if file.is_file()), path


def _files(folder: Path) -> list[Path]:
    """What a model's output depends on."""
    patterns = ("model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors")
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
