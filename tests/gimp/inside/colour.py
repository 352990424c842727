"""Reads and writes layers of a wide-gamut image with the plug-in's own functions; needs no daemon."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gegl, Gimp

OWN = {"U8_NON_LINEAR": "R'G'B'A u8", "U16_NON_LINEAR": "R'G'B'A u16", "FLOAT_LINEAR": "RGBA float"}


def run(t):
    sys.path.insert(0, t.args["plugin"])
    from velatura_plugin import capture, insert, sight

    for precision in OWN:
        image, layer = pictures.picture(precision)
        native = t.args[precision]
        buffer = layer.get_buffer()
        buffer.set(Gegl.Rectangle.new(0, 0, 1, 1), OWN[precision], bytes.fromhex(native))
        buffer.flush()
        image.set_color_profile(Gimp.ColorProfile.new_rgb_adobe())  # the bytes stay, their meaning changes
        taken = capture.at_once(capture.capture(sight.Sight(image, layer)))
        source = taken.inputs["source"]
        variation = insert.Variation("back", source.raster, source.data, {"velatura": 1})
        group = insert.insert(image, layer, layer, "back", [variation], taken.code)
        (back,) = group.get_children()
        size = len(bytes.fromhex(native))
        t.note(
            **{
                precision: {
                    "sent": source.data[:size].hex(),
                    "profile": source.profile,
                    "dtype": source.dtype,
                    "back": pictures.pixels(back, None, (0, 0, 1, 1)).hex(),
                    "source": pictures.pixels(layer, None, (0, 0, 1, 1)).hex(),
                }
            }
        )
