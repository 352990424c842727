"""The identity encoder of the embedded models' world; see `velatura.companions.identity`."""

from __future__ import annotations

from pathlib import Path

from velatura.bundles import BUNDLES
from velatura.companions.identity import DIMENSION, WIDTH, IdentityEncoder, read_identity
from velatura.weights.json_files import read_object

__all__ = ["BUNDLE", "DIMENSION", "WIDTH", "IdentityEncoder", "load_identity", "same_person_threshold"]

BUNDLE = BUNDLES / "velatura-identity"


def load_identity(folder: Path = BUNDLE) -> IdentityEncoder:
    """The package's identity encoder, or the one in `folder`."""
    return read_identity(folder, read_object(folder / "config.json"))


def same_person_threshold(folder: Path = BUNDLE) -> float:
    """The cosine at equal error rate; two portraits above it are likelier of one person than of two."""
    return float(read_object(folder / "config.json")["threshold"])
