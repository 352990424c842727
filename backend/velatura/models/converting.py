"""Converts a checkpoint of any known layout to a folder that can be named as a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from velatura_protocol.errors import VelaturaError

from . import converting_adm, converting_taming, pickles
from .families import style_converting as families


def convert(checkpoint: Path, folder: Path, label: int | None = None) -> None:
    """Writes a folder of a checkpoint of StyleGAN2, of taming-transformers or of guided diffusion.

    Args:
        checkpoint: the file, pickled or in safetensors.
        folder: the new folder, which must not exist yet or be empty.
        label: see `adm.convert` and `families.converting.convert`.

    Raises:
        VelaturaError: `unknown-model` for weights that are no finite numbers; as `pickles.read`,
            `taming.convert`, `adm.convert` and `families.converting.convert` do.
    """
    pickles.check_folder(folder)  # before the checkpoint is read, which takes minutes
    weights, about = pickles.read(checkpoint)
    _check_finite(checkpoint, weights)
    if families.is_style_generator(weights):
        families.convert(checkpoint, folder, weights, about, label)
    elif converting_taming.CODES in weights:
        converting_taming.convert(checkpoint, folder, weights)
    else:
        converting_adm.convert(checkpoint, folder, label, weights)


def _check_finite(checkpoint: Path, weights: Mapping[str, Tensor]) -> None:
    """Raises `unknown-model` where a weight is infinite, complex or not a number: every picture would be."""
    if any(x.is_complex() or not bool(x.isfinite().all()) for x in weights.values()):
        raise VelaturaError(
            "unknown-model",
            f"The checkpoint {checkpoint} has weights that are no finite numbers; fetch it again from its"
            " authors.",
        )
