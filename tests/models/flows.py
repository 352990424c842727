"""Flow models in tests: loaded as a person's files are, sampled beside diffusers, edited with."""

from __future__ import annotations

import math
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.diffusion import samplers, schedule
from velatura.diffusion.denoiser import guided
from velatura.methods.execute import execute
from velatura.models.catalogue import ModelEntry
from velatura.models.recognition import Found, recognise
from velatura.models.store import ModelStore

METHODS = {
    "sdedit": {"steps": 4},
    "blended-latent-diffusion": {"steps": 4},
    "flow-align": {"steps": 4, "source_prompt": "a cat", "only_changes": False},
    "flow-slider": {"steps": 4, "source_prompt": "a cat"},
    "sega": {
        "steps": 4,
        "source_prompt": "a cat",
        "inversion": "edit-friendly",
        "concepts": [{"more": "a red hat", "strength": 50.0, "begin": 0.0, "reach": 1.0}],
    },
}


def loaded(load, path: Path, shelves=(), size: int = 64):
    """The model that `recognise` finds in a folder or a file, at the size of the tiny ones."""
    import dataclasses

    found = recognise(path, shelves)
    assert found and not found.missing, found
    found = dataclasses.replace(found, size=size)
    return load(found, "tiny", "digest", torch.device("cpu"), torch.float32)


@torch.inference_mode()
def sampled(model, n, steps, prompt, negative="", scale=1.0):
    """The latents that Euler's method gives for the noise [N, C, h, w]."""
    side = [side * model.factor for side in n.shape[-2:]]
    model = model.prepared(torch.zeros(1, 3, *side), torch.ones(1, 1, *side))
    sigmas = schedule.sigmas(model.training_sigmas, steps)
    start = n * (1.0 + sigmas[0])  # the last level is infinite; the network gets the noise itself
    return samplers.euler(guided(model, prompt, negative, scale), start, sigmas, lambda x, _: x)


def by_maps(places: list):
    """Attention by explicit maps; it notes the places."""

    def attend(place, q, k, v):
        places.append(place)
        return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v

    return attend


class Holding(ModelStore):
    """A store that has this model loaded."""

    def __init__(self, model):
        family = "sd3" if model.joint_blocks is not None else "sd"
        found = Found(family, "folder", Path(), 64)
        super().__init__([ModelEntry("tiny", "Tiny", "diffusers", "", 64, found=found)])
        self._loaded = self.entry(), model


def edited(model, method, size=(80, 112)):
    """An edit of a picture that is not square; whether it is finite, and its largest difference outside."""
    height, width = size
    source, mask = picture(height, width), box(height, width, (16, 64), (32, 96))
    asked = Edit(source, mask, method=method, parameters=METHODS[method], prompt="a hat")
    results = execute(asked.request, asked.blobs.__getitem__, Holding(model), Recorded())
    assert results
    return source, mask, results


def outside(source, mask, result) -> int:
    """The largest difference outside of the selection, in steps of a byte, where the result is put on the
    source. The result is a layer with the selection's coverage."""
    layer, (x, y) = pixels(result).astype(np.int32), result.raster["rect"][:2]
    put = source.astype(np.int32).copy()
    alpha = layer[..., 3:] / 255.0
    region = (slice(y, y + layer.shape[0]), slice(x, x + layer.shape[1]))
    put[region] = np.rint(put[region] * (1.0 - alpha) + layer * alpha)
    return int(np.abs(put - source.astype(np.int32))[mask == 0][..., :3].max())


def write(path: Path, tensors: dict) -> Path:
    """A .safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)
    return path


def write_gguf(path: Path, tensors: dict, architecture: str, *, quantised: bool = False) -> Path:
    """A .gguf file, of F32 or with its matrices in Q8_0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(path), architecture)
    for name, value in tensors.items():
        array = value.detach().float().numpy()
        if quantised and array.ndim == 2 and array.shape[1] % 32 == 0 and min(array.shape) > 1:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
