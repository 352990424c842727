"""The check that a method's class declares what the list of methods, the forms and the broker need."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from velatura.companions.table import COMPANIONS
from velatura.models.traits import NEEDED
from velatura_protocol.inputs import OWN, RasterInput

from .kinds import KINDS
from .parameters import Parameters
from .sections import section_of

if TYPE_CHECKING:
    from .base import Method


def check_declared(cls: type[Method]) -> None:
    """Raises TypeError for an incomplete class."""
    for name in ("id", "version", "title", "summary", "source", "Parameters"):
        if name not in cls.__dict__:
            raise TypeError(f"{cls.__name__} does not say its {name}")
    if cls.id != cls.id.lower() or not cls.id.replace("-", "").isalnum():
        raise TypeError(f"{cls.__name__}.id: lower-case letters, digits and hyphens only, not {cls.id!r}")
    parameters, generator = cls.__dict__["Parameters"], vars(cls).get("generator", "")
    if not (inspect.isclass(parameters) and issubclass(parameters, Parameters)):
        raise TypeError(f"{cls.__name__}.Parameters is not a class of parameters")
    if "run" not in cls.__dict__:
        raise TypeError(f"{cls.__name__} does not say how to run")
    if cls.result not in KINDS:
        raise TypeError(f"{cls.__name__}.result is none of {', '.join(KINDS)}")
    KINDS[cls.result].check(cls)
    try:
        section_of(cls.section, cls.result)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}: {error}") from None
    _check_rasters(cls.__name__, cls.inputs.rasters)
    for name in ("needs", "reads_prompt"):
        if getattr(cls, name) not in ("", *COMPANIONS):
            raise TypeError(f"{cls.__name__}.{name} is none of {', '.join(COMPANIONS)}")
    if not isinstance(generator, str | tuple):
        raise TypeError(f"{cls.__name__}.generator is no kind of model; '' means any")
    if cls.trait not in ("", *NEEDED):
        raise TypeError(f"{cls.__name__}.trait is none of {', '.join(NEEDED)}")


def _check_rasters(where: str, rasters: Sequence[RasterInput]) -> None:
    """Raises TypeError for rasters that no client understands, or that share a name."""
    names = [raster.name for raster in rasters]
    if len({*names, *OWN}) < len(names) + len(OWN):
        raise TypeError(f"{where}.inputs: two rasters have one name, or the name {' or '.join(OWN)}")
    for raster in rasters:
        if RasterInput.from_wire(raster.to_wire()) != raster or not raster.description:
            raise TypeError(f"{where}.inputs: {raster} is no raster that the protocol knows, or says nothing")
