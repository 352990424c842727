"""Which companions a model may have: the one list of them. Imports no torch."""

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
    """A kind of network that may stand beside a model.

    Args:
        name: its key in models.json, its folder beside a model, and its option (`--clip`).
        title: what a person calls it.
        use: what it does, for the option's help.
        without: what a person misses where there is none, or '' where nothing is missed.
        opener: 'module:function' that loads it, called as `open` calls it.
    """

    name: str
    title: str
    use: str
    without: str
    opener: str

    def open(self, path: str, device: torch.device, dtype: torch.dtype) -> Any:
        """Loads it from a folder or a hub id. Raises `unknown-model`."""
        module, _, function = self.opener.partition(":")
        return getattr(import_module(module), function)(path, device, dtype)


COMPANIONS: Mapping[str, Companion] = MappingProxyType(
    {
        companion.name: companion
        for companion in (
            Companion(
                "clip",
                "CLIP",
                "a CLIP that compares pictures with words; no method needs it yet",
                "",
                "velatura.companions.clip:load_encoder",
            ),
            Companion(
                "captioner",
                "captioner",
                "the BLIP that says what a layer shows",
                "no captions are proposed",
                "velatura.companions.blip:load_captioner",
            ),
            Companion(
                "segmenter",
                "segmenter",
                "the CLIPSeg that selects what is named",
                "nothing is selected by its name",
                "velatura.companions.clipseg:load_segmenter",
            ),
        )
    }
)
