"""Turns a caller's settings and pictures into the parameters and rasters of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from velatura.client.requests import pixels_of
from velatura.files.images import CHANNELS, Image
from velatura.files.reading import read_image, read_mask
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.choices import raster_fields, resolve
from velatura_protocol.errors import VelaturaError
from velatura_protocol.kinds import RASTERS
from velatura_protocol.rasters import Pixels
from velatura_protocol.schema import Field

Picture: TypeAlias = "np.ndarray | Image | Path | str"
"""A file's path, a picture that was read from one, or an array: [height, width] or [height, width, channels],
uint8 or uint16, gray or RGB in sRGB, with or without straight alpha as the last channel."""


@runtime_checkable
class TypedParameters(Protocol):
    """Parameters of a method as an object of its own class: `registry()[id].Parameters` of
    `velatura.methods.registry`."""

    def model_dump(self, *, exclude_unset: bool) -> dict[str, Any]:
        """The values that were given, by key."""
        ...


Settings: TypeAlias = "Mapping[str, Any] | TypedParameters"


def picture(given: Picture, *, what: str = "picture") -> tuple[Image, str]:
    """The picture and its file's name, which is '' for an array.

    what: names it in errors. Raises `bad-request` for an array of another form, and what `read_image` does.
    """
    if isinstance(given, Image):
        return given, ""
    if isinstance(given, np.ndarray):
        return _from_array(given, what), ""
    path = Path(given)
    return read_image(path), path.name


def selection(given: Picture, size: tuple[int, int]) -> tuple[Image, str]:
    """One channel whose maximum means selected, and the file's name, which is '' for an array.

    An array may also be of bool. size: width and height of the picture. Raises `bad-request`.
    """
    name = ""
    if isinstance(given, Image):
        image = given
    elif isinstance(given, np.ndarray):
        values = given.astype(np.uint8) * np.uint8(255) if given.dtype == bool else given
        if values.ndim != 2:
            raise VelaturaError(
                "bad-request",
                f"The mask has {given.ndim} dimensions; give one value a pixel, [height, width].",
            )
        image = Image(_from_array(values, "mask").pixels, "A", "")
    else:
        image, name = read_mask(Path(given)), Path(given).name
    if (image.width, image.height) != size:
        raise VelaturaError(
            "bad-request",
            f"The mask is {image.width} x {image.height} and the picture {size[0]} x {size[1]}; "
            "make the mask the picture's size.",
        )
    return image, name


def parameters(
    method: MethodInfo,
    settings: Settings,
    pictures: Mapping[str, Picture],
    size: tuple[int, int],
) -> tuple[dict[str, Any], dict[str, Pixels]]:
    """The parameters of a request, checked against the method's form, and its further rasters by name.

    Args:
        method: as the daemon offers it.
        settings: values by key. An entry of a list may hold a picture where its form asks for one. Words may
            be given as texts, choices by their titles.
        pictures: the method's own further rasters, by name.
        size: width and height of the picture.

    Raises `bad-request`, which names the setting or the picture.
    """
    values = settings.model_dump(exclude_unset=True) if isinstance(settings, TypedParameters) else settings
    fields = {field.key: field for field in method.fields}
    for key in values:
        if key not in fields:
            names = ", ".join(fields) or "none"
            raise VelaturaError("bad-request", f"“{method.title}” has no setting {key!r}; it has: {names}.")
    given: list[Picture] = []
    chosen = {key: _value(fields[key], value, given) for key, value in values.items()}
    own = {
        raster.name: field
        for raster, field in zip(method.further, raster_fields(method.further), strict=True)
    }
    for name, value in pictures.items():
        if name not in own:
            names = ", ".join(own) or "none"
            raise VelaturaError(
                "bad-request", f"“{method.title}” has no picture {name!r}; it takes: {names}."
            )
        chosen[own[name].key] = _noted(value, given)
    values, wanted = resolve(method.title, method.form, chosen)
    method.complete(values)
    rasters: dict[str, Pixels] = {}
    for one in wanted:
        image, name = picture(given[int(one.choice)], what=one.title)
        if RASTERS[one.kind].in_place and (image.width, image.height) != size:
            raise VelaturaError(
                "bad-request",
                f"The picture for “{one.title}” is {image.width} x {image.height}, and the picture to edit "
                f"{size[0]} x {size[1]}; make both the same size.",
            )
        rasters[one.name] = pixels_of(image, name)
    return values, rasters


def choice(field: Field, text: str) -> str:
    """A value of a choice, from itself or from its title as hosts show it; any other text unchanged."""
    if text in dict(field.choices):
        return text
    titled = (value for value, title in field.choices if title.casefold() == text.strip().casefold())
    return next(titled, text)


def _value(field: Field, value: Any, given: list[Picture]) -> Any:
    """The value in the form that `resolve` takes; pictures are appended to `given` and named by position."""
    if field.kind == "enum" and isinstance(value, str):
        return choice(field, value)
    if field.kind == "raster" and value is not None:
        return _noted(value, given)
    if field.kind == "group":
        if isinstance(value, str) and field.words:
            value = [value]
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            return [_entry(field, entry, given) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _entry(group: Field, entry: Any, given: list[Picture]) -> Any:
    if isinstance(entry, str) and group.words:
        return {"text": entry}
    if not isinstance(entry, Mapping):
        return entry  # the form's check refuses it
    parts = {part.key: part for part in group.fields}
    return {
        str(key): _value(parts[str(key)], value, given) if str(key) in parts else value
        for key, value in entry.items()
    }


def _noted(value: Any, given: list[Picture]) -> str:
    given.append(value)
    return str(len(given) - 1)


def _from_array(pixels: np.ndarray, what: str) -> Image:
    shaped = pixels[..., None] if pixels.ndim == 2 else pixels
    if shaped.ndim != 3 or shaped.shape[-1] not in CHANNELS or shaped.size == 0:
        raise VelaturaError(
            "bad-request",
            f"The {what} is an array of shape {pixels.shape}; make it [height, width, 1 to 4].",
        )
    if shaped.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise VelaturaError(
            "bad-request",
            f"The {what} is an array of {pixels.dtype}; give uint8 (0 to 255) or uint16 (0 to 65,535).",
        )
    native = shaped.astype(shaped.dtype.newbyteorder("="), copy=False)
    return Image(np.ascontiguousarray(native), CHANNELS[shaped.shape[-1]])
