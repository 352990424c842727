"""Asks for edits that cannot be, and notes the sentence, and whether the image has stayed as it was."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp


def run(t):
    for case in (
        indexed, two_layers, channel, floating, beside, empty_prompt, long_prompt, not_a_result,
        no_layer, another_picture, another_picture_again, unknown_model, unknown_choice, unknown_sight,
    ):  # fmt: skip
        t.step(case.__name__)
        t.note(**{case.__name__: case()})


def refused(image, layer, name="velatura-sdedit", **values):
    before = [item.get_id() for item in image.get_layers()]
    status, group, error = pictures.call(name, image, layer, **{"prompt": "a hat", "steps": 4, **values})
    same = before == [item.get_id() for item in image.get_layers()]
    return {"status": status, "error": error, "unchanged": same and group is None}


def indexed():
    image, layer = pictures.picture()
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
    return refused(image, layer)


def two_layers():
    image, layer = pictures.picture()
    other = layer.copy()
    image.insert_layer(other, None, 0)
    procedure = Gimp.get_pdb().lookup_procedure("velatura-sdedit")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer, other])
    result = procedure.run(config)
    return {
        "status": result.index(0).value_nick,
        "error": Gimp.get_pdb().get_last_error(),
        "unchanged": len(image.get_layers()) == 2,
    }


def channel():
    image, _ = pictures.picture()
    chosen = Gimp.Channel.new(image, "a channel", 64, 48, 50.0, Gimp.color_parse_css("red"))
    image.insert_channel(chosen, None, 0)
    return refused(image, chosen)


def floating():
    image, layer = pictures.picture()
    pictures.select(image, 10, 8, 30, 25, soft=False)
    Gimp.Selection.float(image, [layer], 0, 0)
    return refused(image, layer)


def beside():
    image, layer = pictures.picture(layer_size=(20, 20), offsets=(0, 0))
    pictures.select(image, 40, 30, 20, 15, soft=False)
    return refused(image, layer)


def empty_prompt():
    image, layer = pictures.picture()
    return refused(image, layer, prompt="")


def long_prompt():
    image, layer = pictures.picture()
    return refused(image, layer, prompt="hat " * 400)


def not_a_result():
    image, layer = pictures.picture()
    procedure = Gimp.get_pdb().lookup_procedure("velatura-rerun")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    result = procedure.run(config)
    return {
        "status": result.index(0).value_nick,
        "error": Gimp.get_pdb().get_last_error(),
        "unchanged": len(image.get_layers()) == 1,
    }


def no_layer():
    image, _ = pictures.picture()
    return refused(image, None)


def another_picture():
    image, _ = pictures.picture()
    other, layer = pictures.picture()
    found = refused(image, layer)
    return {**found, "unchanged": found["unchanged"] and len(other.get_layers()) == 1}


def another_picture_again():
    image, _ = pictures.picture()
    _, layer = pictures.picture()
    return refused_again(image, layer)


def refused_again(image, layer):
    status, result, error = pictures.call("velatura-rerun", image, layer)
    return {"status": status, "error": error, "unchanged": result is None and len(image.get_layers()) == 1}


def unknown_model():
    image, layer = pictures.picture()
    return refused(image, layer, model="no-such-model")


def unknown_choice():
    image, layer = pictures.picture()
    return refused(image, layer, detail="no-such-choice")


def unknown_sight():
    image, layer = pictures.picture()
    return refused(image, layer, sees="no-such-thing")
