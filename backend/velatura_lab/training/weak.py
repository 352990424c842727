"""Which pictures to learn from more often: those that show what the model draws wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velatura_lab.world import ATTRIBUTES

from .data import KIND_NAMES, Dataset
from .labels import readable

FLOOR = 0.3  # weight of a picture of which the model draws everything right
FEW = 8  # prompts: the errors of a figure of so few count half, since they may be chance


def shortfalls(
    figures: Mapping[str, Mapping[str, Mapping[str, list[float]]]],
) -> dict[tuple[str, str], float]:
    """(kind, attribute) -> how much less it is read on samples than on reconstructions, 0..1.

    figures: of a bundle, as `velatura train evaluate` writes them: [share, low, high, n] for each attribute.
    """
    found = {}
    for kind, rows in figures["attributes_as_prompted"].items():
        for name, (share, *_, n) in rows.items():
            if name in ATTRIBUTES[kind]:
                limit = figures["judge_on_reconstructions"][kind].get(name, [1.0])[0]
                found[kind, name] = max(limit - share, 0.0) * n / (n + FEW)
    return found


def picture_weights(data: Dataset, mine: NDArray[np.int64], start: Path | None) -> NDArray[np.float64]:
    """The chance of each of the pictures `mine` to be drawn, (n,), summing to 1.

    FLOOR and the sum of the shortfalls of the attributes that the picture shows; equal chances where the run
    begins with no bundle, or with one that was not measured.
    """
    path = None if start is None else start / "figures.json"
    if path is None or not path.exists():
        return np.full(len(mine), 1.0 / len(mine))
    lacking = shortfalls(json.loads(path.read_text()))
    weights = np.full(len(mine), FLOOR)
    for row, index in enumerate(mine):
        kind = KIND_NAMES[int(data.kinds[index])]
        scene, seen = data.scene(int(index)), data.visible(int(index))
        weights[row] += sum(
            amount for (of, name), amount in lacking.items() if of == kind and readable(scene, name, seen)
        )
    return weights / weights.sum()
