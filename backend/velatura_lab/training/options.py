"""What one part's training is told, the same for all of its processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from .networks import PROFILES, Profile


@dataclass(frozen=True)
class Options:
    """The command line of one part, the same for every process.

    `minutes` or `samples`: how much training there is to be in all (0 samples: what it begins with is kept);
    `stop_after`: minutes after which this call ends, for another to go on.  `school`: steps of the text
    encoder's first schooling.  `start`: bundle whose weights a fresh run begins with, if they fit; None for
    random ones.
    """

    work: Path
    seed: int = 7
    minutes: float = 10.0
    samples: int | None = None
    pictures: int = 24000
    processes: int = 2
    batch: int = 8
    rate: float = 5e-4
    school: int = 400
    stop_after: float | None = None
    start: Path | None = None
    profile: Profile = PROFILES["cpu"]

    @property
    def device(self) -> torch.device:
        return torch.device(self.profile.device)

    @property
    def drawers(self) -> int:
        """Processes that draw and word the training set: all cores where training itself runs elsewhere."""
        return self.processes if self.device.type == "cpu" else os.cpu_count() or 1
