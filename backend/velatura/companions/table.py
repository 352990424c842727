"""The one list of companions that a model may have. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Companion:
    """A kind of network beside a model.

    Args:
        name: its key in models.json, its folder beside a model, and its option (`--clip`).
        title: its name for a person.
        use: its purpose, for the option's help.
        without: the consequence of its absence, for a person; '' where there is none.
        opener: 'module:function' that loads it, with the arguments of `open`.
        file: whether it may be a single file.
    """

    name: str
    title: str
    use: str
    without: str
    opener: str
    file: bool = False

    def open(self, path: str, device: torch.device, dtype: torch.dtype) -> Any:
        """Loads the network from a folder or hub id. Raises `unknown-model`."""
        module, _, function = self.opener.partition(":")
        return getattr(import_module(module), function)(path, device, dtype)


COMPANIONS: Mapping[str, Companion] = MappingProxyType(
    {
        companion.name: companion
        for companion in (
            Companion(
                "clip",
                "CLIP",
                "a CLIP that compares pictures with words",
                "nothing is painted under its eye",
                "velatura.companions.clip:load_encoder",
            ),
            Companion(
                "captioner",
                "captioner",
                "the BLIP that describes a layer",
                "no captions are proposed",
                "velatura.companions.blip:load_captioner",
            ),
            Companion(
                "identity",
                "identity encoder",
                "the network that tells faces apart, so that edits of a face keep the person",
                "",
                "velatura.companions.identity:load_identity",
            ),
            Companion(
                "segmenter",
                "segmenter",
                "the CLIPSeg or SAM 3 that selects things by their names",
                "nothing is selected or replaced by its name",
                "velatura.companions.segmenter:load_segmenter",
            ),
            Companion(
                "landmarks",
                "face detector",
                "the YuNet file (.onnx) that finds eyes and mouths, by which faces are aligned as in FFHQ",
                "",
                "velatura.companions.landmarks:load_landmarks",
                file=True,
            ),
            Companion(
                "enlarger",
                "enlarger",
                "the network that enlarges pictures (ESRGAN, SPAN, DAT, …) where a selection is larger than "
                "the model's pictures",
                "",
                "velatura.companions.enlarger:load_enlarger",
                file=True,
            ),
        )
    }
)
