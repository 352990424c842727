"""The kinds of generators that there are. Imports no torch: the broker and the command line ask it.

Diffusion models are ours. A package offers others by an entry point of the group `velatura.generators`. Its
name says how these models are stored (it takes the place of 'diffusers' or 'file'); its value is a module,
or anything else with the attributes of `Loader`.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from velatura.extensions.offers import Offers, offers

from .protocol import DIFFUSION

if TYPE_CHECKING:
    import torch

    from .protocol import Generator

log = logging.getLogger(__name__)

GROUP = "velatura.generators"
FORMS = frozenset({"diffusers", "file", "hub", "missing"})
"""How our own models are stored."""


class Loader(Protocol):
    """What brings models of one form. Importing it imports no torch.

    KIND: of the generators it loads, `DIFFUSION` or a name of its own, which methods ask for.
    TITLE: of that kind, for a sentence, with its article: 'a style-based generator'.
    """

    KIND: str
    TITLE: str

    def recognise(self, path: Path) -> int | None:
        """The side in pixels of the pictures of the model that lies in this folder or file; None where it is
        not of this form. Asked often, so it reads a small file at most."""
        ...

    def load(self, path: Path, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Generator:
        """The generator, with this id and digest, its networks on the device and of the dtype."""
        ...


class Recognised(NamedTuple):
    """A model of an offered form. form: the entry point's name. size: side of its pictures in pixels."""

    form: str
    kind: str
    size: int


@cache
def offered() -> Offers[Loader]:
    """The loaders of other packages."""
    return offers(GROUP, _loader, "kind of model")


def loader(form: str) -> Loader | None:
    """What loads models of a form; None where it is one of ours."""
    return next((offer.value for offer in offered().loaded if offer.name == form), None)


def recognised(path: Path) -> Recognised | None:
    """The form and kind of the model that lies there, if a package offers to load it."""
    for offer in offered().loaded:
        try:
            size = offer.value.recognise(path)
        except Exception as error:  # another package's code may raise anything
            log.warning("%s cannot say whether %s is its own: %s", offer.package, path, error)
            continue
        if size is not None:
            return Recognised(offer.name, offer.value.KIND, size)
    return None


def title(kind: str) -> str:
    """A kind of generator in a sentence, with its article."""
    if kind == DIFFUSION:
        return "a diffusion model"
    titles = (offer.value.TITLE for offer in offered().loaded if kind == offer.value.KIND)
    return next(titles, f"a model of the kind {kind!r}")


def _loader(entry: EntryPoint) -> Loader:
    if entry.name in FORMS:
        raise ValueError(f"{entry.name!r} is a form of Velatura's own models")
    found = entry.load()
    missing = [name for name in ("KIND", "TITLE", "recognise", "load") if not hasattr(found, name)]
    if missing:
        raise TypeError(f"it has no {' and no '.join(missing)}")
    return cast(Loader, found)
