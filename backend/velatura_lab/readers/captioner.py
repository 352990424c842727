"""The captioner of the embedded model's pictures, an entry point for `velatura.companions.captioners`."""

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
    """A captioner with the judge in a folder.

    Raises:
        OSError: A file is missing or unreadable.
        ValueError: A file is no judge.
    """
    return WorldCaptioner(load_judge(folder).to(device))
