"""Runs recipes again: as they were, with changes, with an edited mask, after a reload."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp, Gio


def run(t):
    image, layer = pictures.picture()
    pictures.select(image, 10, 8, 30, 25)
    before = pictures.pixels(layer)
    values = pictures.returned(
        "velatura-sdedit", image, layer, prompt="a hat", seed=7, steps=4, strength=0.5, variations=2
    )
    group = values.index(1)
    t.note(
        title=group.get_name(),
        returned=[item.get_name() for item in values.get_core_object_array(2)],
        children=[child.get_name() for child in group.get_children()],
    )
    first, second = group.get_children()
    t.note(
        visible=[child.get_visible() for child in group.get_children()],
        chosen=[item.get_name() for item in image.get_selected_layers()],
        differ=look(first) != look(second),
        ranks=[json.loads(pictures.recipe(child))["rank"] for child in (first, second)],
        second_seed=7 + json.loads(pictures.recipe(second))["variation"],
    )

    Gimp.Selection.none(image)  # the mask is the selection now
    _, again, error = pictures.call("velatura-rerun", image, second)
    (same,) = again.get_children()
    t.note(
        again_error=error,
        again_same=look(same) == look(second),
        again_above=image.get_item_position(again) == image.get_item_position(group) - 1,
        again_seed=json.loads(pictures.recipe(same))["seed"],
    )

    _, whole, error = pictures.call("velatura-rerun", image, group)
    t.note(whole_error=error, whole_same=[look(a) == look(b) for a, b in zip(
        group.get_children(), whole.get_children(), strict=True)])  # fmt: skip

    _, changed, error = pictures.call(
        "velatura-rerun", image, first, prompt="a beard", seed=9, variations=1, parameters='{"steps": 5}'
    )
    (other,) = changed.get_children()
    recipe = json.loads(pictures.recipe(other))
    t.note(
        changed_error=error,
        changed=[
            recipe["prompt"],
            recipe["seed"],
            recipe["parameters"]["steps"],
            recipe["parameters"]["strength"],
        ],
    )

    mask = first.get_mask()
    pictures.fill(mask, "Y u8", b"\xff")
    _, wider, error = pictures.call("velatura-rerun", image, mask)
    (result,) = wider.get_children()
    t.note(edited_error=error, edited_mask_used=set(pictures.pixels(result.get_mask(), "Y u8")) == {255})

    status, _, error = pictures.call("velatura-rerun", image, first, parameters='["steps"]')
    t.note(bad_parameters=[status, error])

    t.note(source_unchanged=pictures.pixels(layer) == before)
    file = Gio.File.new_for_path(t.path("saved.xcf"))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    reload(t, file, group, first, second)

    image.remove_layer(layer)
    status, _, error = pictures.call("velatura-rerun", image, first)
    t.note(source_gone=[status, error])


def look(layer):
    """All bytes of a result layer."""
    return pictures.pixels(layer), pictures.pixels(layer.get_mask())


def reload(t, file, group, first, second):
    loaded = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    there = [item for item in loaded.get_layers() if item.get_name() == group.get_name()][-1]
    layers = there.get_children()
    t.note(
        reloaded_same=[look(a) == look(b) for a, b in zip(layers, (first, second), strict=True)],
        reloaded_recipe=pictures.recipe(layers[0]) == pictures.recipe(first),
        reloaded_group=there.is_group_layer(),
    )
    _, again, error = pictures.call("velatura-rerun", loaded, layers[1])
    t.note(reloaded_error=error, reloaded_rerun=look(again.get_children()[0]) == look(second))
