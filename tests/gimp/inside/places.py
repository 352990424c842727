"""Edits layers of all kinds and places; notes where the results lie and which bytes the masks have."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp


def run(t):
    for case in (
        negative_offsets,
        beyond_the_canvas,
        partly_outside,
        no_selection,
        layer_mask_chosen,
        text_layer,
        group_layer,
        within_a_group,
        filtered,
        several,
    ):
        t.step(case.__name__)
        t.note(**{case.__name__: case()})


def edit(image, layer, **values):
    status, group, error = pictures.call(
        "velatura-sdedit", image, layer, prompt="a hat", seed=7, steps=4, strength=0.5, **values
    )
    if group is None:
        return {"error": f"{status}: {error}"}
    (result,) = group.get_children()
    _, x, y = result.get_offsets()
    place = (x, y, result.get_width(), result.get_height())
    values = pictures.pixels(result.get_mask(), "Y u8")
    selected = pictures.pixels(image.get_selection(), "Y u8", place)
    parent = group.get_parent()
    return {
        "error": "",
        "place": place,
        "mask_is_selection": values == selected,
        "mask_is_full": set(values) == {255},
        "above": image.get_item_position(group) == image.get_item_position(layer) - 1,
        "parent": parent.get_name() if parent else "",
        "recipe": pictures.recipe(result),
    }


def negative_offsets():
    image, layer = pictures.picture(layer_size=(80, 60), offsets=(-9, -7))
    pictures.select(image, 0, 0, 30, 25, soft=False)
    return edit(image, layer)


def beyond_the_canvas():
    image, layer = pictures.picture(layer_size=(80, 60), offsets=(20, 11))
    return edit(image, layer)


def partly_outside():
    image, layer = pictures.picture(layer_size=(40, 30), offsets=(30, 20))
    pictures.select(image, 10, 10, 40, 30)
    return edit(image, layer)


def no_selection():
    image, layer = pictures.picture()
    return edit(image, layer)


def layer_mask_chosen():
    image, layer = pictures.picture()
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    pictures.select(image, 10, 8, 30, 25)
    status, _, error = pictures.call(
        "velatura-sdedit", image, mask, prompt="a hat", seed=7, steps=4, strength=0.5
    )
    return {"error": error, "status": status, "unchanged": set(pictures.pixels(mask, "Y u8")) == {255}}


def text_layer():
    image, _ = pictures.picture()
    text = Gimp.TextLayer.new(image, "hat", Gimp.context_get_font(), 20, Gimp.Unit.pixel())
    image.insert_layer(text, None, 0)
    found = edit(image, text)
    return {**found, "still_text": text.is_text_layer()}


def group_layer():
    image, layer = pictures.picture()
    group = Gimp.GroupLayer.new(image, "a group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    pictures.select(image, 10, 8, 30, 25)
    return edit(image, group)


def within_a_group():
    image, layer = pictures.picture()
    group = Gimp.GroupLayer.new(image, "a group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    pictures.select(image, 10, 8, 30, 25)
    return edit(image, layer)


def filtered():
    """A filter on the layer is part of what is sent, and stays where it is."""
    image, layer = pictures.picture()
    plain = edit(image, layer)
    image, layer = pictures.picture()
    before = pictures.pixels(layer)
    layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "inverted"))
    with_filter = edit(image, layer)
    return {
        "error": plain["error"] or with_filter["error"],
        "other_input": plain["recipe"].split('"source"')[1][:100]
        != with_filter["recipe"].split('"source"')[1][:100],
        "filters": [f.get_name() for f in layer.get_filters()],
        "unchanged": pictures.pixels(layer) == before,
        "images": len(Gimp.get_images()),
    }


def _source(found):
    return json.loads(found["recipe"])["inputs"]["source"]["digest"]


def several():
    """The newest lies above the earlier ones, also of a layer in a group, but not above another layer."""
    image, layer = pictures.picture()
    parent = Gimp.GroupLayer.new(image, "a group")
    image.insert_layer(parent, None, 0)
    image.reorder_item(layer, parent, 0)
    other = layer.copy()
    image.insert_layer(other, parent, 0)
    groups = [pictures.call("velatura-sdedit", image, layer, prompt="hat", steps=4)[1] for _ in range(3)]
    expected = [other, *reversed(groups), layer]
    return [item.get_id() for item in parent.get_children()] == [item.get_id() for item in expected]
