"""Reads the parts of Stable Diffusion and Stable Diffusion XL: folders, checkpoints, and single parts."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTokenizer

from velatura.weights.json_files import check_files, check_sizes, read_object
from velatura_protocol.errors import VelaturaError

from .. import noise_levels
from ..headers import read_header
from . import clip_and_t5, folder_weights, ldm
from .measuring import measured_prediction
from .unet import UNetModel

if TYPE_CHECKING:
    from ..recognition import Found

_VAES = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
_GUIDANCE_RESCALE = 0.7  # phi for a model that knows pure noise; the best of Lin et al. 2024, section 3.4
_PREDICTIONS = ("epsilon", "v_prediction", "sample")
_M = TypeVar("_M", bound=UNetModel)


@contextmanager
def opened(found: Found, dtype: torch.dtype, encoders: Mapping[str, Any]) -> Generator[Files]:
    """The parts of a model, as long as the context lasts.

    Args:
        found: the model's files.
        dtype: of its networks.
        encoders: the classes of its text encoders by their names.

    Raises `unknown-model` and errors of damaged files, as do the methods of `Files`.
    """
    with tempfile.TemporaryDirectory(prefix="velatura-") as temporary:
        yield Files(found, dtype, encoders, Path(temporary))


class Files:
    """See `opened`."""

    def __init__(self, found: Found, dtype: torch.dtype, encoders: Mapping[str, Any], scratch: Path) -> None:
        self._found, self._dtype, self._encoders, self._scratch = found, dtype, encoders, scratch
        self._is_folder = found.form == "folder"
        self._names = ("unet", "vae", *encoders)
        self._configs: dict[Path, dict[str, dict[str, Any]]] = {}
        self._check()

    def unet(self) -> UNet2DConditionModel:
        """The UNet, in the model's dtype."""
        place = self._place("unet")
        if place.is_dir():
            return folder_weights.network(UNet2DConditionModel, place, self._dtype)
        if "text_encoder_2" in self._encoders:
            beside = self._place("text_encoder_2")
            is_folder = beside.is_dir()
            second = (
                read_object(beside / "config.json")
                if is_folder
                else self._configuration(beside, "text_encoder_2")
            )
            ldm.fit_sizes(self._configuration(place, "unet"), second)
        return self._from_file(UNet2DConditionModel, place, "unet")

    def vae(self) -> AutoencoderKL | AutoencoderTiny:
        """The autoencoder, likewise."""
        place = self._place("vae")
        if not place.is_dir():
            return self._from_file(AutoencoderKL, place, "vae")
        cls = read_object(place / "config.json").get("_class_name")
        if cls not in _VAES:
            raise _unsupported(self._found.path, f"has a vae of the kind {cls!r:.60}")
        return folder_weights.network(_VAES[cls], place, self._dtype)

    def text_encoder(self, name: str) -> Any:
        """The text encoder of this name, likewise."""
        place = self._place(name)
        if place.is_dir():
            return folder_weights.encoder(self._encoders[name], place, self._dtype)
        return ldm.text_encoder(
            self._encoders[name], place, name, self._configuration(place, name), self._dtype, self._scratch
        )

    def tokenizer(self, name: str) -> CLIPTokenizer:
        """The tokenizer of this name. It is CLIP's own where the model's files have none."""
        place = self._found.parts.get(name, self._found.path / name)
        if place.is_dir():
            return clip_and_t5.clip_tokenizer(place)
        encoder = self._place(name.replace("tokenizer", "text_encoder"))
        is_open = name == "tokenizer_2" or (encoder.is_file() and ldm.is_open_clip(read_header(encoder)))
        return clip_and_t5.clip_tokenizer(None, is_open=is_open)

    def note(self, name: str, default: bool) -> bool:
        """A yes or no of a folder's model_index.json."""
        index = self._found.path / "model_index.json"
        return bool(read_object(index).get(name, default)) if index.is_file() else default

    def levels(self) -> dict[str, Any]:
        """The fields of a `UNetModel` that the scheduler's configuration and the traits give."""
        found, place = self._found, self._found.parts.get("scheduler", self._found.path / "scheduler")
        if place.is_dir():
            scheduler = read_object(place / "scheduler_config.json")
        else:
            scheduler = ldm.scheduler(read_header(self._place("unet")))
        if found.chosen:
            scheduler = scheduler | {"prediction_type": found.prediction}
        return levels(scheduler, found.path.name) | {"takes_guidance": found.takes_guidance}

    def measured(self, model: _M) -> _M:
        """The model, its prediction measured where neither a person nor its files say it."""
        if self._is_folder or self._found.chosen:
            return model
        header = read_header(self._place("unet"))
        if ldm.noted_prediction(header):
            return model
        model.prediction = measured_prediction(model) or model.prediction
        if ldm.is_open_clip(header) and model.latent_size in (
            64,
            96,
        ):  # Stable Diffusion 2 base, and 2 at 768
            side = 96 if model.prediction == "v_prediction" else 64
            model.unet.register_to_config(sample_size=side)
        return model

    def _place(self, name: str) -> Path:
        own = self._found.path / name if self._is_folder else self._found.path
        return self._found.parts.get(name, own)

    def _configuration(self, file: Path, name: str) -> dict[str, Any]:
        if file not in self._configs:
            self._configs[file] = ldm.configurations(read_header(file))
        if name not in self._configs[file]:
            raise _unsupported(file, "lacks its autoencoder or its text encoder")
        return self._configs[file][name]

    def _from_file(self, cls: Any, file: Path, name: str) -> Any:
        """The network, converted by diffusers with a configuration made from the file's header."""
        ldm.write(self._scratch / name / "config.json", self._configuration(file, name))
        more: dict[str, Any] = {}
        if file.suffix.lower() == ".gguf":
            from diffusers.quantizers.quantization_config import GGUFQuantizationConfig

            more["quantization_config"] = GGUFQuantizationConfig(compute_dtype=self._dtype)
        return cls.from_single_file(
            ldm.weights(file, name, self._dtype),
            config=str(self._scratch),
            subfolder=name,
            local_files_only=True,
            torch_dtype=self._dtype,
            **more,
        )

    def _check(self) -> None:
        """Raises `unknown-model` unless the files are of a supported model, and ValueError or OSError for
        invalid ones."""
        if self._is_folder:
            self._check_folder(self._found.path)
        else:
            ldm.check(read_header(self._place("unet")), is_xl="text_encoder_2" in self._encoders)

    def _check_folder(self, folder: Path) -> None:
        tokenizers = [name.replace("text_encoder", "tokenizer") for name in self._encoders]
        for name in (*self._names, *tokenizers, "scheduler"):
            if not self._found.parts.get(name, folder / name).exists():
                raise VelaturaError(
                    "unknown-model",
                    f"{folder} has no folder {name!r}, so it is no whole model in diffusers' form; fetch it"
                    " again or choose another.",
                )
        check_files(folder)
        for name in self._names:
            place = self._place(name)
            if not place.is_dir():
                continue
            check_sizes(read_object(place / "config.json"))
            if not any(place.glob("*.safetensors")):
                raise _unsupported(folder, f"has no .safetensors weights in {name}; only those are read")
        unet = read_object(folder / "unet" / "config.json")
        if unet.get("_class_name") != "UNet2DConditionModel":
            raise _unsupported(folder, f"has a unet of the kind {unet.get('_class_name')!r:.60}")
        check_channels(folder, unet.get("in_channels", 4), unet.get("out_channels", 4))
        added = "text_time" if "text_encoder_2" in self._encoders else None
        others = ("class_embed_type", "encoder_hid_dim_type", "num_class_embeds")
        if unet.get("addition_embed_type") != added or any(unet.get(name) is not None for name in others):
            raise _unsupported(folder, "has a unet with further inputs")


def check_channels(path: Path, seen: object, made: object) -> None:
    """Raises `unknown-model` for a UNet that takes other channels beside the latents than those of a mask and
    a picture, or of a picture alone."""
    if not isinstance(made, int) or seen not in (made, 2 * made, 2 * made + 1):
        raise _unsupported(path, f"has a unet of {seen!r:.20} channels, such as for depth or enlarging")


def levels(scheduler: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The fields of a `UNetModel` that a scheduler's configuration gives: noise levels and prediction.

    name: of the model, for a message. Raises `unknown-model` for other noise levels or another prediction,
    ValueError for an impossible schedule.
    """
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in _PREDICTIONS or "EDM" in str(scheduler.get("_class_name")):
        what = f"predicts {prediction!r:.40}" if prediction not in _PREDICTIONS else "has other noise levels"
        raise VelaturaError("unknown-model", f"The model {name!r:.80} {what}; choose another.")
    zero = bool(scheduler.get("rescale_betas_zero_snr", False))
    betas = noise_levels.scheduled_betas(scheduler)
    return {
        "training_sigmas": noise_levels.training_sigmas(betas, zero_terminal_snr=zero),
        "prediction": prediction,
        "guidance_rescale": _GUIDANCE_RESCALE if zero else 0.0,
    }


def _unsupported(path: Path, what: str) -> VelaturaError:
    return VelaturaError(
        "unknown-model", f"{path} {what}; choose a model of Stable Diffusion 1, 2 or XL for pictures."
    )
