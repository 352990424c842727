"""The options of one part's training, the same for all of its processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from .networks import PROFILES, Profile


@dataclass(frozen=True)
class Options:
    """The command line of one part.

    Args:
        work: Folder of pictures and checkpoints.
        seed: Of scenes, networks and sampling.
        minutes: Length of the training in all, over all calls.
        samples: Length in pictures, in place of `minutes`; 0 keeps the weights of `start`.
        pictures: Size of the training set.
        processes: Data-parallel processes.
        batch: Pictures in a step of each process.
        rate: Learning rate.
        school: Steps of the text encoder's pretraining.
        stop_after: Minutes after which this call saves and ends, for another call to resume.
        start: Bundle whose weights a fresh run begins with where they fit; None for random weights.
        profile: Sizes of the networks, and the device.
        kind: The kind of scene of its pictures; "" for all kinds.
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
    kind: str = ""

    @property
    def device(self) -> torch.device:
        return torch.device(self.profile.device)

    @property
    def drawers(self) -> int:
        """Processes that draw and word the training set: all cores if training runs on an accelerator."""
        return self.processes if self.device.type == "cpu" else os.cpu_count() or 1
