"""Refusals of maps that cannot be read from a picture. Imports no torch."""

from __future__ import annotations

from velatura_protocol.errors import VelaturaError

from .kinds import KINDS, KindName


def unreadable(kind: KindName) -> VelaturaError:
    """Of a kind that is not read from pictures."""
    return VelaturaError(
        "bad-request",
        f"“{KINDS[kind].title}” cannot be read from a picture; choose a layer that already shows such a map, "
        "and switch on “Is a map”.",
    )


def without_depth() -> VelaturaError:
    """Of depth, where no network reads it."""
    return VelaturaError(
        "unknown-model",
        "Depth is read by a network that is not on this computer; download one, such as Depth Anything V2 "
        "Small, into a folder of models and run `velatura models find`, or choose a layer that shows depth "
        "and switch on “Is a map”.",
    )
