"""The values typed into a form, kept however its dialog ends.

GIMP keeps the last values of a procedure only where its run has succeeded: in the image, and in a file for
other images. Until then this module keeps them in the same two places, as parasites. None of them is a change
of the image: there is nothing to undo, and nothing that GIMP asks to save.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gi.repository import Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.requests import Recipe

from .form import Argument, without_rasters

_NAME = "velatura-form-"


class Keeper:
    """Keeps the values of one form.

    arguments: those of the form. name: that of the form's procedure or recipe. is_everywhere: whether the
    values serve every image that has none of its own. has_kept: whether `keep` has written values; the values
    that `fill` began with are in the procedure or the recipe.
    """

    def __init__(
        self, image: Gimp.Image, name: str, arguments: Sequence[Argument], is_everywhere: bool = False
    ) -> None:
        self._image, self._name, self._arguments = image, f"{_NAME}{name}", arguments
        self._is_everywhere = is_everywhere
        self._known: dict | None = None
        self._is_own = False
        self.has_kept = False

    def fill(self, config: Gimp.ProcedureConfig) -> None:
        """Puts the kept values, if there are any, into a configuration."""
        parasite = self._image.get_parasite(self._name)
        of_gimp = f"{config.__gtype__.name}-last"
        self._is_own = parasite is not None or self._image.get_parasite(of_gimp) is not None
        if self._is_everywhere and not self._is_own:
            parasite = Gimp.get_parasite(self._name)
        values = _read(parasite)
        for argument in self._arguments:
            if argument.name in values and _fits(argument, values[argument.name]):
                config.set_property(argument.name, values[argument.name])
        self._known = self._values(config)

    def forget_others(self, config: Gimp.ProcedureConfig, captions: bool) -> None:
        """Takes out what belongs to another picture: an image without values of its own begins with those of
        the image before.

        Its layers are chosen by name, and many pictures have a "Background". captions: whether the caption
        goes too, because another one can be proposed.
        """
        if self._is_own:
            return
        for argument in self._arguments:
            name, field = argument.name, argument.field
            if field.source_prompt and captions:
                config.set_property(name, "")
            elif field.kind in ("raster", "group"):
                config.set_property(name, without_rasters(field, config.get_property(name) or ""))
        self._known = self._values(config)

    def keep(self, config: Gimp.ProcedureConfig) -> None:
        """Keeps a configuration's values, if they have changed since `fill` or the last `keep`."""
        values = self._values(config)
        if values == self._known:
            return
        self._known, self.has_kept = values, True
        data = json.dumps(values).encode("ascii")
        parasite = Gimp.Parasite.new(self._name, Gimp.PARASITE_PERSISTENT, data)
        if self._image.is_valid():
            self._image.attach_parasite(parasite)
        if self._is_everywhere:
            Gimp.attach_parasite(parasite)

    def drop(self) -> None:
        """Drops the kept values: the run has succeeded."""
        for place in (self._image, Gimp):
            if place.get_parasite(self._name) is not None:
                place.detach_parasite(self._name)

    def _values(self, config: Gimp.ProcedureConfig) -> dict:
        return {argument.name: config.get_property(argument.name) for argument in self._arguments}


def name_of(kept: Recipe) -> str:
    """A name for the form of a recipe."""
    return digest(json.dumps(dict(kept.written), sort_keys=True).encode())[-16:]


def _read(parasite: Gimp.Parasite | None) -> dict:
    try:
        values = json.loads(bytes(parasite.get_data()).decode("ascii")) if parasite else {}
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _fits(argument: Argument, value: object) -> bool:
    """Whether GIMP takes the value: it may have been kept by another version. A list may be half typed."""
    if argument.field.kind in ("group", "raster"):
        return isinstance(value, str)
    try:
        argument.field.check(value)
    except VelaturaError:
        return False
    return True
