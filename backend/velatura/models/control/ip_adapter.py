"""Reads an IP-Adapter and its image encoder, and shows them a picture."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from velatura_protocol.errors import VelaturaError

from ..families import folder_weights, parts
from ..headers import read_header
from ..latent import LatentModel
from . import refusals
from .listing import GuideFile
from .look import Projections
from .vision import reads

_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the colours that CLIP was trained on, and their deviation
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_XLABS = re.compile(r"^double_blocks\.(\d+)\.processor\.ip_adapter_double_stream_([kv])_proj\.(\w+)$")


class IPAdapter(NamedTuple):
    """An IP-Adapter in memory.

    Args:
        encoder: reads a picture.
        image_proj: makes tokens of what the encoder reads.
        projections: by the names of the attentions.
        states: whether it reads the states of the encoder's last layer but one, or else its projected vector.
    """

    encoder: CLIPVisionModelWithProjection
    image_proj: nn.Module
    projections: dict[str, Projections]
    states: bool

    @torch.inference_mode(False)
    @torch.no_grad()
    def tokens(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens of a picture [1, 3, h, w] in [0, 1], and those of an empty one, each [1, L, d]."""
        pixels = _prepared(picture.clone(), int(str(self.encoder.config.image_size))).to(
            self.encoder.device, self.encoder.dtype
        )
        if self.states:
            read, empty = (
                self.encoder(x, output_hidden_states=True).hidden_states[-2]
                for x in (pixels, torch.zeros_like(pixels))
            )
        else:
            read = self.encoder(pixels).image_embeds
            empty = torch.zeros_like(read)
        return self.image_proj(read), self.image_proj(empty)


def load(guide: GuideFile, model: LatentModel) -> IPAdapter:
    """The IP-Adapter in a .safetensors file, on the model's device and in its dtype.

    Raises:
        VelaturaError: `unknown-model` for a file that is damaged or was made for another model, and where its
            image encoder is missing.
    """
    if guide.encoder is None:
        raise refusals.without_encoder(guide)
    try:
        with torch.inference_mode(False):
            tensors = parts.tensors(guide.path, dtype=model.dtype)
            if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
                raise ValueError("values that are no numbers")
            network = model.networks[model.denoiser]
            start, names = _names(tensors, network)
            projections = {
                name: Projections(*(_linear(tensors, key) for key in keys)) for name, keys in names.items()
            }
            image_proj = _image_proj(network, tensors, start)
            encoder = _encoder(guide.encoder, model.dtype)
            everything: list[nn.Module] = [
                encoder,
                image_proj,
                *(m for both in projections.values() for m in both),
            ]
            for module in everything:
                nn.Module.to(module.eval().requires_grad_(False), model.device, model.dtype)
            read = reads(read_header(guide.path))
            made = IPAdapter(encoder, image_proj, projections, read is not None and read.states)
            _check(made, network)
    except (*_FAULTS, OSError, SafetensorError) as error:
        raise VelaturaError(
            "unknown-model",
            f"The guide {guide.title!r} does not fit {model.id!r}, or its file is damaged; choose another "
            "guide or fetch the file again.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    return made


_FAULTS = (ValueError, RuntimeError, KeyError, IndexError, TypeError, AttributeError, ZeroDivisionError)


def _check(adapter: IPAdapter, network: nn.Module) -> None:
    """Raises ValueError or one of torch's errors if the parts do not fit each other or the network."""
    tokens, _ = adapter.tokens(torch.zeros(1, 3, 8, 8))
    if not bool(tokens.isfinite().all()):
        raise ValueError("the image encoder gives values that are no numbers")
    for name, both in adapter.projections.items():
        place: Any = network.get_submodule(name)
        width = (place.attn if hasattr(place, "attn") else place).to_k.out_features
        for layer in both:
            if (layer.in_features, layer.out_features) != (tokens.shape[-1], width):
                raise ValueError(f"{name} is of another width")


_Keys = tuple[str, str]


def _names(tensors: Mapping[str, Tensor], network: nn.Module) -> tuple[str, dict[str, _Keys]]:
    """The start of the names of its tensors for the picture, and for each attention the names of its two
    layers' tensors without their ends.

    diffusers and the authors number the attentions to the prompt 1, 3, 5, … in the order of the network.
    """
    if any(_XLABS.match(name) for name in tensors):
        numbers = sorted({int(m[1]) for m in map(_XLABS.match, tensors) if m})
        ends = {i: f"double_blocks.{i}.processor.ip_adapter_double_stream_{{}}_proj" for i in numbers}
        return "ip_adapter_proj_model.", {
            f"transformer_blocks.{i}": (end.format("k"), end.format("v")) for i, end in ends.items()
        }
    places = list(_places(network))
    numbers = sorted({int(name.split(".")[1]) for name in tensors if name.startswith("ip_adapter.")})
    if len(numbers) != len(places):
        raise ValueError(f"{len(numbers)} attentions, not {len(places)}")
    return "image_proj.", {
        place: (f"ip_adapter.{number}.to_k_ip", f"ip_adapter.{number}.to_v_ip")
        for place, number in zip(places, numbers, strict=True)
    }


def _places(network: nn.Module) -> Iterator[str]:
    """The names of the attentions, in the order of diffusers' `attn_processors`."""
    blocks = getattr(network, "transformer_blocks", None)
    if blocks is not None:
        yield from (f"transformer_blocks.{i}" for i in range(len(blocks)))
        return
    yield from (name for name, _ in network.named_modules() if name.endswith(".attn2"))


def _linear(tensors: Mapping[str, Tensor], name: str) -> nn.Linear:
    weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}), assign=True)
    return layer


def _image_proj(network: Any, tensors: Mapping[str, Tensor], start: str) -> nn.Module:
    """The layers that make tokens of a picture. diffusers knows their kinds by the names of the tensors."""
    own = {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}
    return network._convert_ip_adapter_image_proj_to_diffusers(own, low_cpu_mem_usage=False)


def _encoder(path: Path, dtype: torch.dtype) -> CLIPVisionModelWithProjection:
    """An image encoder in a folder or a single file."""
    if path.is_dir():
        return folder_weights.encoder(CLIPVisionModelWithProjection, path, dtype)
    tensors = parts.tensors(path, dtype=dtype)
    projected, hidden = tensors["visual_projection.weight"].shape
    patch = tensors["vision_model.embeddings.patch_embedding.weight"].shape[-1]
    places = len(tensors["vision_model.embeddings.position_embedding.weight"]) - 1
    config = CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=tensors["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        projection_dim=projected,
        num_hidden_layers=parts.count(tensors, "vision_model.encoder.layers."),
        num_attention_heads=max(1, hidden // 64) if hidden <= _LARGE else 16,
        image_size=math.isqrt(places) * patch,
        patch_size=patch,
        # OpenAI's ViT-L has its own approximation, and the networks of LAION the function itself
        hidden_act="quick_gelu" if hidden <= _LARGE else "gelu",
    )
    tensors = {name: value for name, value in tensors.items() if "position_ids" not in name}
    return CLIPVisionModelWithProjection.from_pretrained(None, config=config, state_dict=tensors, dtype=dtype)


_LARGE = 1024  # states of ViT-L; it and the larger ones, ViT-H and ViT-bigG, have 16 heads


def _prepared(picture: Tensor, side: int) -> Tensor:
    """The picture [1, 3, h, w] in [0, 1] as CLIP reads it: the square in its middle, normalised."""
    height, width = picture.shape[-2:]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    square = picture[..., top : top + least, left : left + least]
    small = F.interpolate(square, (side, side), mode="bicubic", antialias=True).clamp(0.0, 1.0)
    mean, deviation = (torch.tensor(x, device=picture.device).view(1, 3, 1, 1) for x in (_MEAN, _DEVIATION))
    return (small - mean) / deviation
