"""The layers of a result (SPEC section 4), in the order a person should see them."""

from __future__ import annotations

from collections.abc import Sequence


def best_first(layers: Sequence[dict]) -> list[dict]:
    """The layers by `rank`; in the order they came where they are not ranked as the specification says."""
    ranks = [layer.get("rank") for layer in layers]
    if not all(type(rank) is int for rank in ranks) or sorted(ranks) != list(range(len(layers))):
        return list(layers)
    return sorted(layers, key=lambda layer: layer["rank"])
