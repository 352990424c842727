"""A method with a third raster and a list whose entries have one, by a script and run again."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import pictures
from gi.repository import Gimp

SIDE = 64
GREY, RED, WHITE = bytes((100, 100, 100, 255)), bytes((200, 0, 0, 255)), bytes((255, 255, 255, 255))
FORMAT = "R'G'B'A u8"


def composed():
    """A grey source below a segmentation of its left half and a white spot; the image and the source."""
    image = Gimp.Image.new(SIDE, SIDE, Gimp.ImageBaseType.RGB)
    for name, pixel, rect in (
        ("source", GREY, (0, 0, SIDE, SIDE)),
        ("Segments", RED, (0, 0, SIDE // 2, SIDE)),
        ("Spot", WHITE, (40, 40, 16, 16)),
    ):
        x, y, width, height = rect
        kind = Gimp.ImageType.RGBA_IMAGE
        layer = Gimp.Layer.new(image, name, width, height, kind, 100.0, Gimp.LayerMode.NORMAL)
        image.insert_layer(layer, None, 0)
        layer.set_offsets(x, y)
        pictures.fill(layer, FORMAT, pixel)
        layer.set_visible(name == "source")
    return image, image.get_layer_by_name("source")


def at(layer, x, y):
    _, left, top = layer.get_offsets()
    return list(pictures.pixels(layer, FORMAT, (x - left, y - top, 1, 1)))


def run(t):
    image, source = composed()
    refused = pictures.call("velatura-arrange", image, source)
    concepts = [{"text": "light", "where": "layer.Spot"}, {"text": "nothing", "amount": 0.0}]
    values = {"input_segments": "Segments", "concepts": json.dumps(concepts)}
    status, group, error = pictures.call("velatura-arrange", image, source, **values)
    t.note(refused=refused[2], error=error, status=status)
    layer = group.get_children()[0]
    recipe = json.loads(pictures.recipe(layer))
    t.note(left=at(layer, 10, 10), right=at(layer, 50, 10), spot=at(layer, 48, 48), recipe=recipe)

    again = pictures.call("velatura-rerun", image, layer, seed=5)
    t.note(again=[again[2], at_group(again[1])])
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 16, SIDE)
    chosen = json.dumps([{"text": "light", "where": "selection"}])
    values = {"input_segments": "Segments", "concepts": chosen}
    _, group, error = pictures.call("velatura-arrange", image, source, **values)
    t.note(selection=[error, at(group.get_children()[0], 8, 30)])
    Gimp.Selection.none(image)
    t.note(nothing=pictures.call("velatura-arrange", image, source, **values)[2])

    image.get_layer_by_name("Segments").set_name("Parts")
    t.note(lost=pictures.call("velatura-rerun", image, layer)[2])
    changed = json.dumps({"input.segments": "layer.Parts"})
    named = pictures.call("velatura-rerun", image, layer, parameters=changed)
    t.note(named=[named[2], at_group(named[1])])


def at_group(group):
    return at(group.get_children()[0], 10, 10) if group else None
