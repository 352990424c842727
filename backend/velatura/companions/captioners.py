"""The captioners of other packages. Imports no torch.

A package offers a captioner by an entry point of the group `velatura.captioners`. Its value is a module, or
any object with the attributes of `Loader`. The laboratory offers the one of the embedded model's world.

Run as a program it prints, as JSON, why captioners are left out: what, package, reason.
"""

from __future__ import annotations

import json
import logging
from dataclasses import astuple
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from velatura.extensions.offers import FAILURES, Offer, Offers, loaded, offers

if TYPE_CHECKING:
    import torch

    from .blip import Captioner

log = logging.getLogger(__name__)

GROUP = "velatura.captioners"


class Loader(Protocol):
    """Loads captioners of one kind. It may import torch: only the worker imports it."""

    def reads(self, config: dict[str, Any]) -> bool:
        """Whether it reads a folder with this config.json."""
        ...

    def load(self, folder: Path, device: torch.device) -> Captioner:
        """The captioner in a folder."""
        ...


@cache
def offered() -> Offers[Loader]:
    """The loaders of other packages."""
    return offers(GROUP, _loader, "captioner")


def loader(config: dict[str, Any]) -> Loader | None:
    """The loader of a folder with this config.json; None if no other package offers one."""
    for offer in offered().loaded:
        if _reads(offer, config):
            return offer.value
    return None


def _reads(offer: Offer[Loader], config: dict[str, Any]) -> bool:
    try:
        return offer.value.reads(config)
    except FAILURES as error:
        log.warning("%s cannot say whether a captioner is its own: %s", offer.package, error)
        return False


def _loader(entry: EntryPoint) -> Loader:
    return cast(Loader, loaded(entry, functions=("reads", "load")))


if __name__ == "__main__":
    print("\n" + json.dumps([astuple(refused) for refused in offered().refused]))
