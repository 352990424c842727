"""What the embedded model's captions come from, as the product is offered it (`velatura.companions.blip`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .captions import WorldCaptioner
from .judge import load_judge


def reads(config: Mapping[str, Any]) -> bool:
    """Whether a folder with this config.json holds a judge."""
    return "questions" in config


def load(folder: Path, device: torch.device) -> WorldCaptioner:
    """The captions of the judge in a folder. Raises OSError or ValueError for files that make no sense."""
    return WorldCaptioner(load_judge(folder).to(device))
