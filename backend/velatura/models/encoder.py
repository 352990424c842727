"""A CLIP (Radford et al. 2021, arXiv:2103.00020): pictures and sentences as vectors that can be compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from huggingface_hub import snapshot_download
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from velatura_protocol.errors import VelaturaError

_HUB_FILES = ["*.json", "*.txt", "*.safetensors"]
_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the published models, where a folder does not say
_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass
class Encoder:
    """A CLIP on its device. mean, std: [3, 1, 1], of the pictures it was trained on."""

    network: CLIPModel
    tokenizer: CLIPTokenizer
    mean: Tensor
    std: Tensor

    @property
    def side(self) -> int:
        """Of the square pictures it takes, in pixels."""
        return int(self.network.config.vision_config.image_size)

    @property
    def scale(self) -> float:
        """tau: the learnt factor that makes cosines the logits of its softmax, at most 100."""
        return float(self.network.logit_scale.exp())

    @torch.inference_mode()
    def images(self, pictures: Tensor) -> Tensor:
        """Unit vectors [N, d] float32 of pictures [N, 3, side, side] in [0, 1]."""
        weights = self.network.visual_projection.weight
        x = (pictures.to(self.mean) - self.mean) / self.std
        states = self.network.vision_model(pixel_values=x.to(weights.dtype)).pooler_output
        return F.normalize(self.network.visual_projection(states).float(), dim=-1)

    @torch.inference_mode()
    def text(self, sentence: str) -> Tensor | None:
        """The unit vector [d] float32 of a sentence; None for one with more tokens than it reads."""
        length = self.network.config.text_config.max_position_embeddings
        tokens = self.tokenizer(sentence, return_tensors="pt", verbose=False).input_ids
        if tokens.shape[1] > length:
            return None
        states = self.network.text_model(input_ids=tokens.to(self.mean.device)).pooler_output
        return F.normalize(self.network.text_projection(states).float(), dim=-1)[0]


def load_encoder(path: str, device: torch.device, dtype: torch.dtype) -> Encoder:
    """Loads a folder or a hub id of transformers' CLIPModel with its tokenizer. Raises `unknown-model`.

    Weights are read from .safetensors only.
    """
    try:
        local = Path(path).is_dir()
        folder = Path(path if local else snapshot_download(path, allow_patterns=_HUB_FILES))
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        if kind != "clip":
            raise ValueError(f"a model of the type {kind!r}")
        network = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=dtype)
        inner = folder / "tokenizer"
        tokenizer = CLIPTokenizer.from_pretrained(inner if inner.is_dir() else folder, local_files_only=True)
        mean, std = _statistics(folder)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # the libraries that read these files raise every kind, as for models
        raise VelaturaError(
            "unknown-model",
            f"The CLIP at {path} cannot be read; fetch it again or name another one.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    network.to(device).eval().requires_grad_(False)
    statistics = [torch.tensor(values, device=device).view(3, 1, 1) for values in (mean, std)]
    return Encoder(network, tokenizer, *statistics)


def _statistics(folder: Path) -> tuple[list[float], list[float]]:
    file = folder / "preprocessor_config.json"
    said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return said.get("image_mean") or list(_MEAN), said.get("image_std") or list(_STD)
