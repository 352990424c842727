"""The further rasters of a method: the layers to choose from, and their pixels. A layer is identified by its
name, which GIMP keeps unique in an image: scripts, kept forms and recipes all use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gi.repository import Gimp

from velatura_protocol.choices import SELECTION, Wanted, about_input, gone, layer_of, no_selection
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import MAX_NAME, Pixels

from .capture import Capture, Steps, pixels_of, read
from .formats import Encoding
from .sight import rectangle
from .sources import every_layer


def layers(image: Gimp.Image) -> list[tuple[str, str]]:
    """(name, name) of every layer of an image, from top to bottom, those in groups too."""
    found = every_layer(image) if image.is_valid() else []
    return [(layer.get_name(), layer.get_name()) for layer in found]


def with_rasters(image: Gimp.Image, steps: Steps[Capture], wanted: Sequence[Wanted]) -> Steps[Capture]:
    """The capture of the steps, with the further rasters. Each layer is read once.

    Raises VelaturaError with a sentence that names the raster.
    """
    captured = yield from steps
    there: dict[str, Pixels] = {}
    for one in wanted:
        if one.choice not in there:
            try:
                there[one.choice] = yield from _pixels(image, one, captured.code)
            except VelaturaError as error:
                raise about_input(one, error) from error
    further = {one.name: there[one.choice] for one in wanted}
    return replace(captured, inputs={**captured.inputs, **further})


def _pixels(image: Gimp.Image, wanted: Wanted, code: Encoding) -> Steps[Pixels]:
    if wanted.choice == SELECTION:
        _, some, left, top, right, bottom = Gimp.Selection.bounds(image)
        if not some:
            raise no_selection()
        place = (left, top, right - left, bottom - top)
        values = yield from read(image.get_selection(), place, (0, 0), code.mask)
        return Pixels(values, place, "A", code.dtype, "")
    name = layer_of(wanted.choice) or wanted.choice  # a script may say the name alone
    layer = next((layer for layer in every_layer(image) if layer.get_name() == name), None)
    if layer is None:
        raise gone()
    place = rectangle(layer)
    data = yield from pixels_of(layer, code)
    return Pixels(data, place, code.channels, code.dtype, code.profile, name[:MAX_NAME], code.icc)
