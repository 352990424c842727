"""Puts known masks into images of all kinds with the plug-in's own functions; needs no daemon."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp

CANVAS = (64, 48)
RECIPE = {"velatura": 1, "method": "x", "prompt": "a beard"}


def run(t):
    sys.path.insert(0, t.args["plugin"])
    for name in t.args["precisions"]:
        t.step(name)
        precision, *gray = name.split()
        t.note(**{name: _one(precision, bool(gray), (0, 0, 64, 48))})
    for name, rect in t.args["places"].items():
        t.step(name)
        t.note(**{name: _one("U16_NON_LINEAR", False, tuple(rect))})
    t.note(
        several=_several(),
        partly=_partly(),
        nothing=_refused(bytes(64 * 48), (0, 0, 64, 48)),
        outside=_refused(b"\xff" * 100, (70, 0, 10, 10)),
        equal_names=_equal_names(),
        closed=_closed(),
    )


def _mask(title, rect, data=None):
    from velatura_plugin.masks import Mask

    from velatura_protocol.messages import digest
    from velatura_protocol.rasters import Raster

    data = data or values(rect)
    return Mask(title, Raster(digest(data), *rect[2:], "A", "u8", "", rect), data, RECIPE)


def values(rect):
    """Every value, and no two neighbours alike."""
    return bytes((7 * i + 3 * (i // rect[2])) % 256 for i in range(rect[2] * rect[3]))


def expected(rect):
    """The whole canvas with the mask of `values` in it."""
    x, y, width, height = rect
    data, canvas = values(rect), bytearray(CANVAS[0] * CANVAS[1])
    for row in range(max(0, y), min(CANVAS[1], y + height)):
        for column in range(max(0, x), min(CANVAS[0], x + width)):
            canvas[row * CANVAS[0] + column] = data[(row - y) * width + column - x]
    return bytes(canvas)


def _one(precision, gray, rect):
    from velatura_plugin.masks import insert_masks

    image, layer = pictures.picture(precision, gray, layer_size=rect[2:], offsets=rect[:2])
    pictures.select(image, 10, 8, 30, 25)
    before = pictures.pixels(layer), pictures.pixels(image.get_selection())
    Gimp.context_set_feather(True)  # the artist's own setting
    Gimp.context_set_feather_radius(9, 9)
    ((channel,), _) = insert_masks(image, layer, [_mask("beard", rect)])
    found = {
        "selection": pictures.pixels(image.get_selection(), "Y u8") == expected(rect),
        "pixels_same": pictures.pixels(layer) == before[0],
        "names": [item.get_name() for item in image.get_channels()],
        "visible": channel.get_visible(),
        "chosen": [item.get_name() for item in image.get_selected_drawables()],
        "recipe": "a beard" in pictures.recipe(channel),
        "feather": Gimp.context_get_feather(),
    }
    pictures.select(image, 0, 0, 5, 5)
    Gimp.context_set_feather(False)
    image.select_item(Gimp.ChannelOps.REPLACE, channel)
    found["channel_is_selection"] = pictures.pixels(image.get_selection(), "Y u8") == expected(rect)
    image.delete()
    return found


def _several():
    from velatura_plugin.masks import insert_masks

    image, layer = pictures.picture()
    pictures.select(image, 10, 8, 30, 25)
    before = pictures.pixels(image.get_selection())
    rect = (0, 0, 64, 48)
    insert_masks(image, layer, [_mask("beard", rect), _mask("hat", rect)])
    return {
        "names": [item.get_name() for item in image.get_channels()],
        "selection_same": pictures.pixels(image.get_selection()) == before,
        "chosen": [item.get_name() for item in image.get_selected_drawables()],
    }


def _partly():
    """Two words, of which the second is nowhere."""
    from velatura_plugin.masks import insert_masks

    image, layer = pictures.picture()
    pictures.select(image, 10, 8, 30, 25)
    before = pictures.pixels(image.get_selection())
    rect = (0, 0, 64, 48)
    _, lost = insert_masks(image, layer, [_mask("beard", rect), _mask("hat", rect, bytes(64 * 48))])
    return {
        "names": [item.get_name() for item in image.get_channels()],
        "selection_same": pictures.pixels(image.get_selection()) == before,
        "lost": lost,
    }


def _refused(data, rect):
    from velatura_plugin.masks import insert_masks

    from velatura_protocol.errors import VelaturaError

    image, layer = pictures.picture()
    pictures.select(image, 10, 8, 30, 25)
    before = pictures.pixels(image.get_selection())
    try:
        insert_masks(image, layer, [_mask("beard", rect, data)])
    except VelaturaError as error:
        same = pictures.pixels(image.get_selection()) == before
        return [error.code, error.message, same, len(image.get_channels())]
    return "not refused"


def _equal_names():
    from velatura_plugin.masks import insert_masks

    image, layer = pictures.picture()
    for _ in range(2):
        insert_masks(image, layer, [_mask("beard", (0, 0, 64, 48))])
    return [item.get_name() for item in image.get_channels()]


def _closed():
    from velatura_plugin.masks import insert_masks

    from velatura_protocol.errors import VelaturaError

    image, layer = pictures.picture()
    image.delete()
    try:
        insert_masks(image, layer, [_mask("beard", (0, 0, 64, 48))])
    except VelaturaError as error:
        return error.message
    return "not refused"
