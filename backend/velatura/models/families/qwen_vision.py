"""Qwen2.5-VL, the text encoder of Qwen-Image, which sees reference pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from velatura.models.headers import read_header

from . import parts

IMAGE = "<|image_pad|>"
"""A token in whose place a part of a picture comes."""
_HEAD = 128  # channels of a head of the language model
_EYE_HEAD = 80  # and of the network that sees


@dataclass(frozen=True)
class Seen:
    """Pictures as Qwen2.5-VL gets them.

    Args:
        pixels: of the patches of all pictures.
        grids: their (1, rows, columns) of patches.
        counts: the number of tokens of each picture.
    """

    pixels: Tensor
    grids: Tensor
    counts: tuple[int, ...]

    def inputs(self, ids: Tensor, tokenizer: Any) -> Mapping[str, Tensor]:
        """The text encoder's inputs beside a text's tokens.

        The kinds of tokens give a picture's tokens their places in rows and columns, as in training.
        """
        return {
            "pixel_values": self.pixels,
            "image_grid_thw": self.grids,
            "mm_token_type_ids": (ids == tokenizer.convert_tokens_to_ids(IMAGE)).int(),
        }


def seen(
    processor: Any, pictures: Sequence[Tensor], sizes: Sequence[tuple[int, int]], device: torch.device
) -> Seen:
    """Pictures as the text encoder gets them.

    Args:
        processor: of transformers.
        pictures: each [1, 3, h, w] in [-1, 1].
        sizes: height and width to which each is resized first.
        device: for the result.
    """
    images = [
        _image(picture).resize((width, height), Image.Resampling.LANCZOS)
        for picture, (height, width) in zip(pictures, sizes, strict=True)
    ]
    read = processor(images=images, return_tensors="pt")
    grids = read["image_grid_thw"]
    counts = tuple(int(grid.prod()) // processor.merge_size**2 for grid in grids)
    return Seen(read["pixel_values"].to(device), grids.to(device), counts)


def _image(picture: Tensor) -> Image.Image:
    values = ((picture[0].float() + 1.0) * 127.5).round().clamp(0.0, 255.0)
    return Image.fromarray(values.permute(1, 2, 0).byte().cpu().numpy())


def encoder(path: Path, dtype: torch.dtype, processor: Path | None) -> tuple[Any, Any]:
    """The model without its head, and the processor of its pictures.

    Args:
        path: a folder or a .safetensors file.
        dtype: of the network.
        processor: its folder; None: the published models'.
    """
    if path.is_dir():
        network = parts.language_model(Qwen2_5_VLForConditionalGeneration, path, dtype).model
    else:
        network = parts.language_model(Qwen2_5_VLModel, path, dtype, _configuration(path), _renamed)
    if processor is not None and (processor / "preprocessor_config.json").is_file():
        return network, Qwen2VLImageProcessorPil.from_pretrained(processor, local_files_only=True)
    return network, Qwen2VLImageProcessorPil()


def _renamed(name: str) -> str:
    """The tensor's name without the head's, from the names before and since transformers 4.52."""
    name = name.removeprefix("model.")
    return name if name.startswith(("visual.", "language_model.")) else f"language_model.{name}"


def _configuration(path: Path) -> Qwen2_5_VLConfig:
    """transformers' configuration of a Qwen2.5-VL in a file, with the published models' constants."""
    shapes = read_header(path).shapes
    layers = next(
        f"{inner}layers."
        for inner in ("model.", "model.language_model.")
        if f"{inner}layers.0.self_attn.q_proj.weight" in shapes
    )
    sizes = parts.sizes(shapes, layers)
    text = {
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.inner,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.query // _HEAD,
        "num_key_value_heads": sizes.key // _HEAD,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    }
    eyes = "visual." if any(name.startswith("visual.") for name in shapes) else "model.visual."
    vision: dict[str, Any] = {"out_hidden_size": sizes.hidden}
    if first := shapes.get(f"{eyes}patch_embed.proj.weight"):
        vision |= {
            "hidden_size": first[0],
            "num_heads": first[0] // _EYE_HEAD,
            "depth": parts.count(shapes, f"{eyes}blocks."),
            "intermediate_size": shapes[f"{eyes}blocks.0.mlp.gate_proj.weight"][0],
        }
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision)
