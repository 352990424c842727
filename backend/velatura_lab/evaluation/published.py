"""Published networks for PIE-Bench's metrics, for people who have their weights.

Each network comes from the hub by its name, from the local cache, or from a folder of the directory
VELATURA_ENCODERS: `clip-vit-large-patch14`, `dino-vitb8`. LPIPS comes with its own package, `lpips`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from velatura_lab.readers.clip import normalise

from .cases import to_images
from .encoders import Encoders

CLIP, DINO = "openai/clip-vit-large-patch14", "facebook/dino-vitb8"
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def place(name: str) -> str:
    """The local folder of a network if it exists, else its name at the hub."""
    local = Path(os.environ.get("VELATURA_ENCODERS", ""), name.split("/")[-1])
    return str(local) if local.is_dir() else name


class PublishedClip:
    """CLIP in transformers' format. PIL scales pictures bicubically and crops them to a square, as CLIP's own
    processor does."""

    def __init__(self, name: str, device: torch.device) -> None:
        from transformers import CLIPModel, CLIPTokenizer

        model: Any = CLIPModel.from_pretrained(name, use_safetensors=True)
        self._model = model.to(device).eval()  # transformers mistypes both `to` and `config`
        self._tokenizer = CLIPTokenizer.from_pretrained(name)
        self._side: int = model.config.vision_config.image_size

    @torch.no_grad()
    def images(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..1 -> unit vectors (N, d). Pictures are rounded to 8 bits first, as on disk."""
        pixels = (images * 255.0).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        made = to_images(np.stack([self._fitted(picture) for picture in pixels]))
        made = normalise(made).to(self._model.device)
        hidden = self._model.vision_model(pixel_values=made).pooler_output
        return F.normalize(self._model.visual_projection(hidden), dim=-1).cpu()

    def _fitted(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side, image = self._side, Image.fromarray(picture)
        scale = side / min(image.size)
        width, height = (max(side, round(length * scale)) for length in image.size)
        left, top = (width - side) // 2, (height - side) // 2
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return np.array(resized.crop((left, top, left + side, top + side)))

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """N texts -> unit vectors (N, d). Texts are cut off after 77 tokens."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        tokens = tokens.to(self._model.device)
        hidden = self._model.text_model(**tokens).pooler_output
        return F.normalize(self._model.text_projection(hidden), dim=-1).cpu()


class DinoKeys:
    """Keys of the last layer of DINO ViT-B/8 (Caron et al. 2021) at 224 pixels, with the class token."""

    def __init__(self, name: str, device: torch.device) -> None:
        from transformers import ViTModel

        model: Any = ViTModel.from_pretrained(name, use_safetensors=True, add_pooling_layer=False)
        self._model = model.to(device).eval()  # transformers mistypes both `to` and `config`
        self._side: int = model.config.image_size
        self._keys: list[Tensor] = []
        last = [module for path, module in model.named_modules() if _is_key(path)][-1]
        last.register_forward_hook(lambda _module, _inputs, output: self._keys.append(output))

    @torch.no_grad()
    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..1 -> (N, P, d). Pixels of 0..255 are normalised as if they were 0..1, as in
        PIE-Bench."""
        resized = F.interpolate(
            images * 255.0, (self._side, self._side), mode="bilinear", antialias=True, align_corners=False
        )
        mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (_MEAN, _DEVIATION))
        self._keys.clear()
        self._model(pixel_values=((resized - mean) / deviation).to(self._model.device))
        return self._keys.pop().cpu()


def _is_key(path: str) -> bool:
    return path.split(".")[-1] in ("key", "k_proj")


class Lpips:
    """LPIPS with SqueezeNet and its learned weights."""

    def __init__(self, _name: str, device: torch.device) -> None:
        import lpips  # pyright: ignore[reportMissingImports]  # a package that few people install

        self._device = device
        self._network = lpips.LPIPS(net="squeeze", verbose=False).to(device).eval()

    @torch.no_grad()
    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1 -> (N,)."""
        a, b = (x.float().to(self._device) * 2.0 - 1.0 for x in (a, b))
        return self._network(a, b).flatten().cpu()


def load_published(device: torch.device) -> Encoders:
    """The published networks that can be loaded; `missing` names the others."""
    found = Encoders(published=True)
    parts: dict[str, tuple[str, Callable[[str, torch.device], Any], str]] = {
        "clip": ("CLIP ViT-L/14", PublishedClip, CLIP),
        "features": ("DINO ViT-B/8", DinoKeys, DINO),
        "lpips": ("LPIPS (SqueezeNet)", Lpips, "lpips"),
    }
    for part, (title, load, name) in parts.items():
        network, reason = _loaded(load, name, device)
        setattr(found, part, network)
        if reason:
            found.missing.append(f"{title} is not here ({reason}); see `velatura evaluate --help`.")
        else:
            found.names[part] = title
    return found


def _loaded(load: Callable[[str, torch.device], Any], name: str, device: torch.device) -> tuple[Any, str]:
    """(the network, '') or (None, name of the error)."""
    try:
        return load(place(name), device), ""
    except Exception as error:  # hubs, files and packages fail in many ways; the figure is left out
        return None, type(error).__name__
