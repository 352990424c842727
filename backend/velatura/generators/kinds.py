"""The kinds of generators. Imports no torch: the broker and the command line use it.

Diffusion models, in a latent space and in pixel space, are built in. Other packages offer other kinds by an
entry point of the group `velatura.generators`. Its name is the form in which the models are stored (in place
of 'diffusers' or 'file'); its value is a module, or any object with the attributes of `Loader`.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from velatura.extensions.offers import FAILURES, Offers, loaded, offers
from velatura_protocol.rasters import MAX_SIDE

from .protocol import DIFFUSION, PIXEL_DIFFUSION

if TYPE_CHECKING:
    import torch

    from .protocol import Generator

log = logging.getLogger(__name__)

GROUP = "velatura.generators"
FORMS = frozenset({"diffusers", "file", "hub", "missing", "pixels"})
"""The forms in which Velatura's own models are stored."""


_OWN = {DIFFUSION: "a diffusion model", PIXEL_DIFFUSION: "a diffusion model of pixels"}


class Loader(Protocol):
    """Loads models of one form. Importing it imports no torch.

    KIND: the kind of its generators, `DIFFUSION` or a name of its own, which methods ask for.
    TITLE: that kind in a sentence, with its article: 'a style-based generator'.
    """

    KIND: str
    TITLE: str

    def recognise(self, path: Path) -> int | None:
        """The side in pixels of the pictures of the model in this folder or file; None if it is not of this
        form. It is called often, so it should read a small file at most. An answer that is no whole number
        from 1 to `MAX_SIDE` is logged and taken for None."""
        ...

    def load(self, path: Path, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Generator:
        """The generator, with this id and digest, its networks on the device and in the dtype."""
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
    """The loader for models of a form; None if no other package offers this form."""
    return next((offer.value for offer in offered().loaded if offer.name == form), None)


def recognised(path: Path) -> Recognised | None:
    """The form and kind of the model at the path, if a package offers to load it; else None."""
    for offer in offered().loaded:
        try:
            size = offer.value.recognise(path)
        except FAILURES as error:
            log.warning("%s cannot say whether %s is its own: %s", offer.package, path, error)
            continue
        if size is None:
            continue
        if type(size) is int and 0 < size <= MAX_SIDE:  # a number of another type could not be sent
            return Recognised(offer.name, offer.value.KIND, size)
        log.warning("%s gives %s pictures of %r pixels a side, which is no side", offer.package, path, size)
    return None


def suits(wanted: str | tuple[str, ...], kind: str) -> bool:
    """Whether a model of a kind suits a method that wants this kind, one of these kinds, or '' for any."""
    return not wanted or kind in ((wanted,) if isinstance(wanted, str) else wanted)


def titles_of(wanted: str | tuple[str, ...]) -> str:
    """The kinds that a method wants in a sentence."""
    return title(wanted) if isinstance(wanted, str) else " or ".join(title(kind) for kind in wanted)


def title(kind: str) -> str:
    """A kind of generator in a sentence, with its article."""
    if kind in _OWN:
        return _OWN[kind]
    titles = (offer.value.TITLE for offer in offered().loaded if kind == offer.value.KIND)
    return next(titles, f"a model of the kind {kind!r}")


def _loader(entry: EntryPoint) -> Loader:
    if entry.name in FORMS:
        raise ValueError(f"{entry.name!r} is a form of Velatura's own models")
    return cast(Loader, loaded(entry, texts=("KIND", "TITLE"), functions=("recognise", "load")))
