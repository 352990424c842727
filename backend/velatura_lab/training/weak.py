"""Sampling weights of pictures: a model sees the attributes that it draws wrong more often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velatura_lab.world import ATTRIBUTES

from .data import KIND_NAMES, Dataset
from .labels import readable

FLOOR = 0.3  # weight of a picture whose attributes the model all draws right
FEW = 8  # prompts of a figure whose errors count half, since they may be chance


def shortfalls(
    figures: Mapping[str, Mapping[str, Mapping[str, list[float]]]],
) -> dict[tuple[str, str], float]:
    """(kind, attribute) -> how much less often it is read right on samples than on reconstructions, 0..1.

    `figures` are a bundle's, from `velatura train evaluate`: [share, low, high, n] for each attribute.
    """
    lacking: dict[tuple[str, str], float] = {}
    for kind, rows in figures["attributes_as_prompted"].items():
        for name, (share, *_, n) in rows.items():
            if name in ATTRIBUTES[kind]:
                limit = figures["judge_on_reconstructions"][kind].get(name, [1.0])[0]
                lacking[kind, name] = max(limit - share, 0.0) * n / (n + FEW)
    return lacking


def picture_weights(data: Dataset, mine: NDArray[np.int64], start: Path | None) -> NDArray[np.float64]:
    """Probabilities (n,) of drawing each of the pictures `mine`.

    A probability is proportional to FLOOR plus the shortfalls of the attributes that the picture shows.  All
    are equal if the run begins without a bundle, or with a bundle without figures.
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
