"""`--input NAME=FILE` and `--item GROUP:key=value,…`: files as a method's further rasters."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from velatura.client.requests import pixels_of
from velatura.files.images import Image
from velatura.files.reading import read_image
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.choices import Wanted, raster_fields
from velatura_protocol.errors import VelaturaError
from velatura_protocol.kinds import RASTERS
from velatura_protocol.rasters import Pixels
from velatura_protocol.schema import Field


def parse_inputs(method: MethodInfo, options: Sequence[str]) -> dict[str, str]:
    """The values of the method's form for options "name=file".

    Raises `bad-request` for a wrong option and for a missing file that the method requires.
    """
    keys = {
        raster.name: field.key
        for raster, field in zip(method.further, raster_fields(method.further), strict=True)
    }
    values: dict[str, str] = {}
    for option in options:
        name, equals, file = option.partition("=")
        if not equals or not file:
            raise VelaturaError("bad-request", f"--input {option} has no file; write --input NAME=FILE.")
        if name not in keys:
            names = ", ".join(keys) or "none"
            sentence = f"“{method.title}” has no input {name!r}; it has: {names}."
            raise VelaturaError("bad-request", sentence)
        values[keys[name]] = file
    for raster in method.further:
        if raster.need == "required" and keys[raster.name] not in values:
            sentence = f"“{method.title}” needs “{raster.title}”; give it with --input {raster.name}=FILE."
            raise VelaturaError("bad-request", sentence)
    return values


_FOUND = ("adapters", "guides", "image_prompts")
"""Lists that a method has only where there is something to choose."""
_FIND = " It is there once `velatura models find` has found a file for it that suits one of your models."


def parse_item(method: MethodInfo, option: str) -> tuple[Field, dict[str, str]]:
    """The group and the texts by key of "group:key=value,key=value".

    A value in double quotes may hold a comma.

    Raises `bad-request`, which names the option.
    """
    name, colon, text = option.partition(":")
    group = next((field for field in method.fields if field.kind == "group" and field.key == name), None)
    if group is None or not colon:
        names = ", ".join(field.key for field in method.fields if field.kind == "group") or "none"
        raise VelaturaError(
            "bad-request",
            f"--item {option} names no list of “{method.title}”; write --item LIST:key=value ({names})."
            + (_FIND if name in _FOUND else ""),
        )
    keys = {field.key for field in group.fields}
    entry: dict[str, str] = {}
    try:
        for part in _parts(text, option, name):
            key, equals, value = part.strip().partition("=")
            if not equals or key not in keys:
                raise ValueError(part)
            entry[key] = value
    except ValueError as error:
        known = ", ".join(field.key for field in group.fields)
        sentence = f"--item {option}: write key=value with commas between; the keys are {known}."
        raise VelaturaError("bad-request", sentence, detail=str(error)) from error
    return group, entry


def _parts(text: str, option: str, group: str) -> list[str]:
    """The text between commas that stand outside of double quotes.

    Apostrophes and the backslashes of Windows paths are letters like any other.
    """
    parts = shlex.shlex(text, posix=True)
    parts.whitespace, parts.whitespace_split, parts.commenters = ",", True, ""
    parts.quotes, parts.escape = '"', ""
    try:
        return list(parts)
    except ValueError as error:
        sentence = (
            f'--item {option} has an open quotation mark: close it, or, for a value with a " in it, write the'
            f" whole list as JSON, --set {group}=[…]."
        )
        raise VelaturaError("bad-request", sentence, detail=str(error)) from error


def read_inputs(wanted: Sequence[Wanted], source: Image, *, convert: bool = False) -> dict[str, Pixels]:
    """The rasters of the chosen files, by name. convert: see `read_image`.

    Raises VelaturaError as `read_image` does, and `bad-request` for a file that lies on the source but has
    another size.
    """
    return {one.name: _read(one, source, convert) for one in wanted}


def _read(wanted: Wanted, source: Image, convert: bool) -> Pixels:
    path = Path(wanted.choice)
    image = read_image(path, convert=convert)
    size, own = (image.width, image.height), (source.width, source.height)
    if RASTERS[wanted.kind].in_place and size != own:
        raise VelaturaError(
            "bad-request",
            f"{path} is {size[0]} x {size[1]} and the picture {own[0]} x {own[1]}; make the file for"
            f" “{wanted.title}” the picture's size.",
        )
    return pixels_of(image, path.name)


def describe_inputs(method: MethodInfo) -> list[str]:
    """Lines that list the files that the method takes."""
    lines: list[str] = []
    for raster in method.further:
        lines += [f"--input {raster.name}=FILE {raster.kind}, {raster.need}"]
        lines += [f"    {raster.title}. {raster.description}"]
    return lines
