"""A kind of model that is no diffusion model: pictures as a mean and a sum of orthonormal ones.

Turk & Pentland 1991, Eigenfaces for recognition. Latents are the weights of the sum, [N, d]; they have no
places. Importing this imports no torch.
"""

from __future__ import annotations

import json
from pathlib import Path

KIND, TITLE = "eigenpictures", "a model of eigenpictures"
_CONFIG, _WEIGHTS = "eigenpictures.json", "eigenpictures.safetensors"


def recognise(path: Path) -> int | None:
    """The side of its pictures, from a small file; None for other folders and for files."""
    try:
        return json.loads((path / _CONFIG).read_text("utf-8"))["size"]
    except (OSError, ValueError, KeyError):
        return None


def load(path, id, digest, device, dtype):
    """See `velatura.generators.kinds.Loader`."""
    from safetensors.torch import load_file

    from .eigenpictures_network import Eigenpictures

    weights = load_file(path / _WEIGHTS)
    return Eigenpictures(id, digest, weights["mean"], weights["basis"], device, dtype)


def write(folder: Path, size: int = 32, d: int = 24, seed: int = 0) -> Path:
    """A random model of smooth pictures; its folder."""
    import torch
    import torch.nn.functional as F
    from safetensors.torch import save_file

    drawn = torch.randn(d, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(drawn, (size, size), mode="bicubic").flatten(1)
    basis = torch.linalg.qr(smooth.T).Q.T.contiguous().unflatten(1, (3, size, size))
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"mean": torch.zeros(3, size, size), "basis": basis.contiguous()}, folder / _WEIGHTS)
    (folder / _CONFIG).write_text(json.dumps({"size": size}), "utf-8")
    return folder
