"""Converts a checkpoint of any known layout to a diffusers folder."""

from __future__ import annotations

from pathlib import Path

from . import adm, pickles, taming


def convert(checkpoint: Path, folder: Path, label: int | None = None) -> None:
    """Writes a diffusers folder of a checkpoint of taming-transformers or of guided diffusion.

    Args:
        checkpoint: the file, pickled or in safetensors.
        folder: the new folder, which must not exist yet or be empty.
        label: see `adm.convert`.

    Raises:
        VelaturaError: as `taming.convert` and `adm.convert` do.
    """
    pickles.check_folder(folder)  # before the checkpoint is read, which takes minutes
    weights = pickles.tensors(checkpoint)
    if taming.CODES in weights:
        taming.convert(checkpoint, folder, weights)
    else:
        adm.convert(checkpoint, folder, label, weights)
