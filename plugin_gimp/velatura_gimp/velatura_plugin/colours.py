"""The image's own colour space: its layers are sent as they are, with their ICC profile."""

from __future__ import annotations

from dataclasses import replace

import gi
from gi.repository import Gimp

from velatura_protocol.rasters import MAX_NAME

from .formats import Encoding

gi.require_version("Babl", "0.1")

from gi.repository import Babl  # noqa: E402 - its version has to be chosen first

#: The encodings of babl by a precision's transfer: by the profile's own curves, linear, and by sRGB's curve.
_PERCEPTUAL = str.maketrans("'", "~")


def in_own_space(image: Gimp.Image, code: Encoding) -> Encoding:
    """The encoding of an image's layers in the image's own colour space. code: the same in sRGB.

    It is `code` where the image has GIMP's own sRGB, and where GIMP cannot tell the profile of its pixels.
    """
    profile, layers = image.get_color_profile(), image.get_layers()
    if profile is None or not layers or any(profile.is_equal(own) for own in _built_in()):
        return code
    transfer = image.get_precision().value_nick.partition("-")[2]
    pixels = code.pixels
    if transfer == "linear":
        profile = profile.new_linear_from_color_profile()
    elif transfer == "perceptual":
        profile = profile.new_srgb_trc_from_color_profile()
        pixels = pixels.translate(_PERCEPTUAL)
    if profile is None:  # one of tables, which have no curves to replace
        return code
    space = Babl.format_get_space(layers[0].get_format())
    named = Babl.get_name(Babl.format_with_space(pixels, space))
    label = (profile.get_label() or "").strip()[:MAX_NAME]
    return replace(code, pixels=named, profile=label, icc=bytes(profile.get_icc_profile()))


def _built_in() -> tuple[Gimp.ColorProfile, ...]:
    new = Gimp.ColorProfile
    return new.new_rgb_srgb(), new.new_d65_gray_srgb_trc()
