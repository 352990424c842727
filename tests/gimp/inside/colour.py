"""Reads, edits and writes layers of images with profiles of their own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp


def run(t):
    sys.path.insert(0, t.args["plugin"])
    from velatura_plugin import capture, insert, sight

    for name, precision, gray, icc in t.args["cases"]:
        t.step(name)
        image, layer = pictures.picture(precision, gray)
        profile = Gimp.ColorProfile.new_from_icc_profile(bytes.fromhex(icc))
        image.set_color_profile(profile)  # the bytes stay, their meaning changes
        native = pictures.pixels(layer)
        taken = capture.at_once(capture.capture(sight.Sight(image, layer)))
        source = taken.inputs["source"]
        variation = insert.Variation("back", source.raster, source.data, {"velatura": 1})
        group = insert.insert(image, layer, layer, "back", [variation], taken.code)
        (back,) = group.get_children()
        t.note(
            **{
                name: {
                    "as_it_is": bytes(source.data) == native,
                    "native": native.hex(),
                    "dtype": source.dtype,
                    "profile": source.profile,
                    "icc": bytes(source.icc).hex(),
                    "gimp": pictures.pixels(layer, "R'G'B'A float").hex(),
                    "back": pictures.pixels(back) == native,
                }
            }
        )
        image.delete()

    image, layer = pictures.picture("U16_NON_LINEAR")
    image.set_color_profile(Gimp.ColorProfile.new_from_icc_profile(bytes.fromhex(t.args["edited"])))
    before = pictures.pixels(layer)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 8, 30, 25)
    _, group, error = pictures.call("velatura-sdedit", image, layer, prompt="a hat", seed=7, steps=4)
    (result,) = group.get_children()
    t.note(
        edited={
            "error": error,
            "kept": pictures.pixels(layer) == before,
            "in_place": pictures.pixels(result) != pictures.pixels(layer, None, (10, 8, 30, 25)),
            "recipe": bytes(result.get_parasite("velatura").get_data()).decode(),
        }
    )
