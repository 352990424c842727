"""Stable Diffusion 1 and 2: one CLIP text encoder."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.diffusion.condition import Condition

from ..headers import read_header
from . import folders, ldm, unet_files
from .unet import UNetModel

if TYPE_CHECKING:
    from ..recognition import Found


@dataclass(kw_only=True)
class StableDiffusion(UNetModel):
    """See `UNetModel`. Its condition is the text encoder's last hidden states."""

    def _condition(self, prompt: str) -> Condition:
        """The states, [1, L, d]."""
        return Condition(self.text_encoder(self.read(prompt, self.tokenizer)).last_hidden_state.float())


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> StableDiffusion:
    """Loads a folder or a single file.

    Args:
        found: the model's files.
        id: of the model's entry.
        digest: of its weights.
        device: for its networks.
        dtype: of its networks.

    Raises:
        VelaturaError: `unknown-model` for a network of another kind.
        OSError, ValueError: damaged files.
    """
    read = _from_folder if found.form == "folder" else _from_file
    return StableDiffusion(id=id, digest=digest, device=device, dtype=dtype, **read(found.path, dtype))


def _from_folder(folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """The fields of a `StableDiffusion`."""
    unet_files.check(folder, ("unet", "vae", "text_encoder"))
    return {
        **unet_files.from_folder(folder, dtype),
        "text_encoder": folders.encoder(CLIPTextModel, folder / "text_encoder", dtype),
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        **unet_files.levels(folders.config(folder, "scheduler", "scheduler_config.json"), folder.name),
    }


def _from_file(path: Path, dtype: torch.dtype) -> dict[str, Any]:
    """As `_from_folder`. diffusers converts the weights; its configuration is made from the file's header."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import (
        StableDiffusionPipeline,  # slow to import, and only this form needs it
    )

    header = read_header(path)
    with tempfile.TemporaryDirectory(prefix="velatura-") as temporary:
        folder = Path(temporary)
        ldm.write_configuration(header, folder)
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
        scheduler = folders.config(folder, "scheduler", "scheduler_config.json")
    return {
        "unet": pipeline.unet,
        "autoencoder": pipeline.vae,
        "text_encoder": pipeline.text_encoder,
        "tokenizer": pipeline.tokenizer,
        **unet_files.levels(scheduler, path.name),
    }
