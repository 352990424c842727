"""Asks the daemon for masks as a script would, and notes what became of the image."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp


def run(t):
    image, layer = pictures.picture("U16_NON_LINEAR", layer_size=(80, 60), offsets=(-9, -7))
    for x in range(80):  # bright on the right
        stripe(layer, x, bytes([x * 3, x * 3, x * 3, 255]))
    before = pictures.pixels(layer)
    one = json.dumps([{"text": "Hat", "which": 1}])
    status, channel, error = pictures.call(t.args["method"], image, layer, prompt="a hat", words=one)
    row = pictures.pixels(image.get_selection(), "Y u8", (0, 20, 64, 1))
    t.note(
        status=status,
        error=error,
        channel=channel.get_name() if channel else "",
        rising=list(row) == sorted(row),
        ends=[row[0], row[-1]],
        recipe=json.loads(pictures.recipe(channel)) if channel else None,
        unchanged=pictures.pixels(layer) == before,
        layers=len(image.get_layers()),
    )
    selected = pictures.pixels(image.get_selection())
    status, _, error = pictures.call(t.args["method"], image, layer, prompt="a hat")
    t.note(
        all_error=error,
        channels=[item.get_name() for item in image.get_channels()],
        selection_same=pictures.pixels(image.get_selection()) == selected,
    )
    values = pictures.returned(t.args["method"], image, layer, prompt="a hat")
    t.note(
        procedure=documentation(t.args["method"]),
        returned=[values.index(1).get_name(), [item.get_name() for item in values.get_core_object_array(2)]],
        chosen=[item.get_name() for item in image.get_selected_drawables()],
    )
    for channel_of_now in image.get_channels()[:2]:
        image.remove_channel(channel_of_now)
    again(t, image, channel)
    again_within(t, one)


def again(t, image, channel):
    """Found in the whole layer, and selected: found there again, not within what is selected."""
    status, same, error = pictures.call("velatura-rerun", image, channel)
    t.note(
        again=[status, error],
        again_same=same is not None and pictures.pixels(same) == pictures.pixels(channel),
        again_selected=pictures.pixels(image.get_selection(), "Y u8") == pictures.pixels(same, "Y u8"),
        again_seed=[json.loads(pictures.recipe(item))["seed"] for item in (channel, same)],
    )
    changes = json.dumps({"words": [{"text": "a", "which": 1}]})
    _, other, error = pictures.call("velatura-rerun", image, same, parameters=changes)
    t.note(again_changed=[error, other.get_name() if other else ""])


def again_within(t, words):
    """Found within a selection, which is the mask afterwards."""
    image, layer = pictures.picture()
    pictures.select(image, 10, 8, 30, 25)
    within = pictures.pixels(image.get_selection())
    _, channel, _ = pictures.call(t.args["method"], image, layer, prompt="a hat", words=words)
    status, _, error = pictures.call("velatura-rerun", image, channel)
    t.note(alone=[status, error, len(image.get_channels())])
    pictures.select(image, 10, 8, 30, 25)
    assert pictures.pixels(image.get_selection()) == within
    _, same, error = pictures.call("velatura-rerun", image, channel)
    t.note(within=[error, same is not None and pictures.pixels(same) == pictures.pixels(channel)])
    image.remove_layer(layer)
    status, _, error = pictures.call("velatura-rerun", image, channel)
    t.note(gone=[status, error])


def stripe(layer, x, pixel):
    pictures.fill(layer, "R'G'B'A u8", pixel, (x, 0, 1, layer.get_height()))


def documentation(name):
    procedure = Gimp.get_pdb().lookup_procedure(name)
    values = procedure.get_return_values()
    return [procedure.get_menu_label(), procedure.get_help(), [value.name for value in values]]
