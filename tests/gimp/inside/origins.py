"""Duplicates, copies and opens what results were made from, and notes which layer is taken for the source."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp, Gio

GRAY, WHITE = b"\x80\x80\x80\xff", b"\xff\xff\xff\xff"


def run(t):
    sys.path.insert(0, t.args["plugin"])
    image, layer = pictures.picture()
    decoy = layer.copy()  # its pixels are others, but it may come to have the source's number
    image.insert_layer(decoy, None, 0)
    decoy.set_name("decoy")
    paint(decoy)
    _, _, error = pictures.call("velatura-sdedit", image, layer, prompt="a hat", seed=7, steps=4)
    t.note(error=error)
    image.reorder_item(decoy, None, 0)
    Scene.file = Gio.File.new_for_path(t.path("made.xcf"))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Scene.file, None)
    copies = duplicated, opened, duplicated_and_painted, copied, backed_up, copy_painted, replaced, confused
    for scene in (*copies, lost, alone, unmarked, damaged, found, in_a_duplicate, in_doubt, marks):
        t.step(scene.__name__)
        t.note(**{scene.__name__: scene()})


def paint(layer, pixel=GRAY):
    pictures.fill(layer, "R'G'B'A u8", pixel)


class Scene:
    """What was made, loaded anew: the decoy on top, then the group with the result, then the source."""

    file = None

    def __init__(self, image=None):
        self.image = image or Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, self.file)
        layers = self.image.get_layers()
        self.result = next(layer for layer in layers if layer.is_group()).get_children()[0]
        self.source = next(layer for layer in layers if layer.get_name().startswith("source"))

    def copy_source(self, name="copy"):
        copy = self.source.copy()
        self.image.insert_layer(copy, None, 0)
        copy.set_name(name)
        return copy

    def by_number(self):
        number = json.loads(pictures.recipe(self.result))["gimp"]["source"]
        layer = self.image.get_layer_by_tattoo(number)
        return layer.get_name() if layer else ""

    def found(self):
        return found_of(self.image, self.result)


def found_of(image, result):
    """The name of the layer that is taken for the source, or those that it may be."""
    from velatura_plugin import recipe, sources

    kept = recipe.from_parasite(pictures.recipe(result).encode())
    try:
        return sources.source_of(image, result, kept).get_name()
    except sources.Doubt as doubt:
        return [layer.get_name() for layer in doubt.layers]


def duplicated():
    scene = Scene(Scene().image.duplicate())
    return [scene.by_number(), scene.found()]


def opened():
    """As layers of an image whose own first layer has the source's number."""
    image, layer = pictures.picture()
    layer.set_name("decoy")
    paint(layer)
    for number, new in enumerate(Gimp.file_load_layers(Gimp.RunMode.NONINTERACTIVE, image, Scene.file)):
        image.insert_layer(new, None, number)
    scene = Scene(image)
    return [scene.by_number(), scene.found()]


def duplicated_and_painted():
    scene = Scene(Scene().image.duplicate())
    paint(scene.source, WHITE)
    return scene.found()


def copied():
    scene = Scene()
    scene.copy_source()
    return scene.found()


def backed_up():
    """The copy has the pixels, the source has the number: either can be meant."""
    scene = Scene()
    scene.copy_source("backup")
    paint(scene.source, WHITE)
    return scene.found()


def copy_painted():
    scene = Scene()
    paint(scene.copy_source(), WHITE)
    first = scene.found()
    paint(scene.source, GRAY)
    return [first, scene.found()]


def replaced():
    """The source is gone, and a copy of it is there."""
    scene = Scene()
    copy = scene.copy_source()
    scene.image.remove_layer(scene.source)
    first = scene.found()
    paint(copy, WHITE)
    return [first, scene.found()]


def lost():
    """The result alone, in an image whose own layer has the source's number."""
    image, layer = pictures.picture()
    paint(layer)
    result = Gimp.Layer.new_from_drawable(Scene().result, image)
    image.insert_layer(result, None, 0)
    number = json.loads(pictures.recipe(result))["gimp"]["source"]
    return [layer.get_tattoo() == number, found_of(image, result)]


def alone():
    """The same, where the image's own layer has the very pixels."""
    image, _ = pictures.picture()
    result = Gimp.Layer.new_from_drawable(Scene().result, image)
    image.insert_layer(result, None, 0)
    return found_of(image, result)


def unmarked():
    """The mark is lost: the pixels decide, and the number alone does not."""
    scene = Scene()
    scene.source.detach_parasite("velatura-source")
    both = scene.found()
    paint(scene.source, WHITE)
    return [both, scene.found()]


def damaged():
    scene = Scene()
    bad = [b"", b"[", [-1], b'{"mark": 1}', b'["x", {"mark": "x"}, {"mark": 1, "tattoo": 2}]']
    found = []
    for data in bad:
        flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
        scene.source.attach_parasite(Gimp.Parasite.new("velatura-source", flags, data))
        found.append(scene.found())
    return found


def confused():
    """In a duplicate numbers mean nothing: two copies with other pixels each can be meant."""
    scene = Scene()
    copy = scene.copy_source()
    paint(copy, WHITE)
    paint(scene.source, GRAY)
    return Scene(scene.image.duplicate()).found()


def found():
    """A channel that was found in a layer: the same, and the layer is marked for it too."""
    from velatura_plugin.masks import Mask, insert_masks

    from velatura_protocol.rasters import Raster

    image, layer = pictures.picture()
    decoy = layer.copy()
    image.insert_layer(decoy, None, 0)
    decoy.set_name("decoy")
    paint(decoy)
    kept = {**json.loads(pictures.recipe(Scene().result)), "gimp": {}}
    raster = Raster("", 64, 48, "A", "u8", "", (0, 0, 64, 48))
    insert_masks(image, layer, [Mask("hat", raster, b"\x80" * (64 * 48), kept)])
    double = image.duplicate()
    number = json.loads(pictures.recipe(double.get_channels()[0]))["gimp"]["source"]
    other = double.get_layer_by_tattoo(number).get_name()
    return [other, *(found_of(place, place.get_channels()[0]) for place in (image, double))]


def in_a_duplicate():
    scene = Scene(Scene().image.duplicate())
    _, group, error = pictures.call("velatura-rerun", scene.image, scene.result)
    (same,) = group.get_children() if group else (None,)
    return [error, same is not None and pictures.pixels(same) == pictures.pixels(scene.result)]


def in_doubt():
    """Refused with the names, and run where the source is named."""
    scene = Scene()
    copy = scene.copy_source("backup")
    paint(scene.source, WHITE)
    before = len(scene.image.get_layers())
    _, _, doubt = pictures.call("velatura-rerun", scene.image, scene.result)
    unchanged = len(scene.image.get_layers()) == before
    _, group, error = pictures.call("velatura-rerun", scene.image, scene.result, source=copy)
    (same,) = group.get_children()
    refused = [
        pictures.call("velatura-rerun", scene.image, scene.result, source=layer)[::2]
        for layer in (scene.result, pictures.picture()[1])
    ]
    return {
        "doubt": doubt,
        "unchanged": unchanged,
        "error": error,
        "same": pictures.pixels(same) == pictures.pixels(scene.result),
        "found": found_of(scene.image, same),
        "refused": refused,
    }


def marks():
    """A layer is marked once, and a copy of it anew, once something is made from that."""
    scene = Scene()
    bears = [data(scene.source)]
    for layer in (scene.source, scene.copy_source()):
        _, group, _ = pictures.call("velatura-sdedit", scene.image, layer, prompt="a hat", seed=7, steps=4)
        bears.append(data(layer))
    (made,) = group.get_children()
    paint(layer)
    paint(scene.source, WHITE)
    return [bears[0] == bears[1], [len(marks) for marks in bears], found_of(scene.image, made)]


def data(layer):
    return json.loads(bytes(layer.get_parasite("velatura-source").get_data()))
