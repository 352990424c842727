"""Parts that flow models share on the disk: the autoencoder in the layout of LDM, and the noise schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

from velatura.models.headers import read_header
from velatura.models.recognition import FAMILIES, Found
from velatura.weights.json_files import read_object
from velatura_protocol.errors import VelaturaError

from . import parts


class Parts(Mapping[str, Path]):
    """The paths of a model's parts by name. A part that is missing raises `unknown-model` with its title."""

    def __init__(self, found: Found) -> None:
        self._found = found

    def __getitem__(self, name: str) -> Path:
        if path := self._found.parts.get(name):
            return path
        family = FAMILIES[self._found.family]
        title = {**family.parts, **family.optional}.get(name, name)
        raise VelaturaError("unknown-model", f"{self._found.path.name} needs {title}; add it and try again.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._found.parts)

    def __len__(self) -> int:
        return len(self._found.parts)

    def find(self, name: str) -> Path | None:
        """The part's path, or None."""
        return self._found.parts.get(name)

    def scheduler(self, default: Mapping[str, Any]) -> Mapping[str, Any]:
        """The configuration of the scheduler; the default where the model has none of its own."""
        folder = self.find("scheduler")
        if folder is None and self._found.form == "folder":
            folder = self._found.path / "scheduler"
        file = None if folder is None else folder / "scheduler_config.json"
        return default if file is None or not file.is_file() else read_object(file)


def autoencoder(path: Path, dtype: torch.dtype, latents: Mapping[str, float]) -> Any:
    """An autoencoder of the layout that Stable Diffusion's has, with latents of any number of channels.

    Args:
        path: a folder (also of a small autoencoder, TAESD's kind), or a .safetensors file.
        dtype: of the network.
        latents: `scaling_factor` and `shift_factor` of a file's latents.
    """
    if path.is_dir():
        kind = read_object(path / "config.json").get("_class_name")
        return parts.autoencoder(
            AutoencoderTiny if kind == "AutoencoderTiny" else AutoencoderKL, path, dtype, None
        )
    return parts.autoencoder(AutoencoderKL, path, dtype, {**autoencoder_configuration(path), **latents})


def autoencoder_configuration(path: Path) -> dict[str, Any]:
    """diffusers' configuration of the autoencoder in a file, in the layout of LDM or of diffusers."""
    header = read_header(path)
    prefix = next(
        (p for p in parts.VAE_PREFIXES if any(n.startswith(p + "decoder.") for n in header.shapes)), ""
    )
    shapes = {name[len(prefix) :]: shape for name, shape in header.shapes.items() if name.startswith(prefix)}
    theirs = "encoder.down.0.block.0.conv1.weight" in shapes
    block = "encoder.down.{}.block.{}." if theirs else "encoder.down_blocks.{}.resnets.{}."
    channels: list[int] = []
    while (first := block.format(len(channels), 0) + "conv1.weight") in shapes:
        channels.append(shapes[first][0])
    layers = 0
    while block.format(0, layers) + "conv1.weight" in shapes:
        layers += 1
    return {
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "layers_per_block": layers,
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }
