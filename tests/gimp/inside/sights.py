"""Edits what is masked, filtered, grouped or blended, or all that is visible; notes pixels and results."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp

SHORT = {"prompt": "a hat", "steps": 4, "strength": 0.5, "seed": 7}


def run(t):
    sys.path.insert(0, t.args["plugin"])
    for scene in (masked, grouped, blended, seen, applied):
        t.step(scene.__name__)
        t.note(**{scene.__name__: scene()})


def sent(image, layer, sees="layer"):
    from velatura_plugin import capture, sight

    return bytes(
        capture.at_once(capture.capture_whole(sight.Sight(image, layer, sees))).inputs["source"].data
    )


def shown(image):
    """The bytes of the visible picture."""
    scratch = image.duplicate()
    layer = Gimp.Layer.new_from_visible(scratch, scratch, "shown")
    scratch.insert_layer(layer, None, 0)
    data = pictures.pixels(layer, "R'G'B'A u8")
    scratch.delete()
    return data


def cut_out(layer):
    """Hides the left half by a layer mask."""
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    pictures.fill(mask, "Y u8", b"\x00", (0, 0, 32, 48))
    return mask


def invert(layer):
    layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "inverted"))


def masked():
    from velatura_plugin import capture, sight

    image, layer = pictures.picture()
    whole = sent(image, layer)
    cut_out(layer)
    data = sent(image, layer)
    preview = capture.at_once(capture.look(sight.Sight(image, layer))).data
    status, group, error = pictures.call("velatura-sdedit", image, layer, **SHORT)
    mask = pictures.pixels(group.get_children()[0].get_mask(), "Y u8") if group else b""
    layer.set_apply_mask(False)
    return {
        "hidden": [set(data[3::4][:32]), set(preview[3::4][:32])] == [{0}, {0}],
        "visible_same": data[32 * 4 : 64 * 4] == whole[32 * 4 : 64 * 4],
        "switched_off": sent(image, layer) == whole,
        "run": [status, error],
        "result_hidden": set(mask[:32]) == {0} and set(mask[32:64]) == {255},
        "images": len(Gimp.get_images()),
    }


def grouped():
    image, layer = pictures.picture()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    plain = sent(image, group)
    invert(group)
    before = shown(image)
    cut_out(group)
    group.set_opacity(50)
    data = sent(image, group)
    status, _, error = pictures.call("velatura-sdedit", image, group, **SHORT)
    return {
        "plain": plain == pictures.pixels(layer, "R'G'B'A u8"),
        "filtered": data[32 * 4 : 64 * 4] == before[32 * 4 : 64 * 4] != plain[32 * 4 : 64 * 4],
        "hidden": set(data[3::4][:32]) == {0},
        "run": [status, error],
    }


def backed():
    """An image with a second layer below the first."""
    image, layer = pictures.picture()
    below = Gimp.Layer.new(image, "below", 64, 48, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(below, None, 1)
    pictures.fill(below, "R'G'B'A u8", b"\xc0\x80\x40\xff")
    return image, layer


def blended():
    image, layer = backed()
    layer.set_mode(Gimp.LayerMode.MULTIPLY)
    layer.set_opacity(60)
    pictures.select(image, 10, 8, 30, 25)
    before = shown(image)
    _, group, error = pictures.call("velatura-sdedit", image, layer, **SHORT)
    after = shown(image)
    result, copy = group.get_children()
    reach = pictures.pixels(result.get_mask(), "Y u8")
    _, x, y = result.get_offsets()
    at = {(x + i % result.get_width(), y + i // result.get_width()) for i, v in enumerate(reach) if v}
    differing = {(i % 64, i // 64) for i in range(64 * 48) if before[4 * i :][:4] != after[4 * i :][:4]}
    Gimp.Selection.none(image)
    _, again, again_error = pictures.call("velatura-rerun", image, result)
    once_more = shown(image)
    same = pictures.pixels(again.get_children()[0]) == pictures.pixels(result)
    facts = {
        "errors": [error, again_error],
        "group": [group.get_mode().value_nick, group.get_opacity()],
        "copy": [copy.get_name(), copy.get_mode().value_nick, copy.get_opacity(), copy.get_parasite_list()],
        "differs_inside_only": bool(differing) and differing <= at,
        "again": [same, once_more == after],
        "visible": [layer.get_visible(), group.get_visible(), again.get_visible()],
    }
    again.get_children()[0].set_visible(False)
    return {**facts, "switched_off": shown(image) == before}


def seen():
    image, layer = backed()
    layer.set_mode(Gimp.LayerMode.MULTIPLY)
    pictures.select(image, 10, 8, 30, 25)
    whole = shown(image)
    same = sent(image, layer, "visible") == whole
    status, group, error = pictures.call("velatura-sdedit", image, layer, sees="visible", **SHORT)
    (result,) = group.get_children()
    own = json.loads(pictures.recipe(result))
    Gimp.Selection.none(image)
    image.remove_layer(layer)
    image.insert_layer(layer.copy(), None, 1)
    image.get_layers()[1].set_mode(Gimp.LayerMode.MULTIPLY)
    _, again, again_error = pictures.call("velatura-rerun", image, group)
    return {
        "sent": same,
        "run": [status, error, again_error],
        "rect": own["inputs"]["source"]["whole"],
        "own": own["gimp"],
        "on_top": [item.get_name() for item in image.get_layers()][:2]
        == [again.get_name(), group.get_name()],
        "again": pictures.pixels(again.get_children()[0]) == pictures.pixels(result),
        "unhidden": image.get_layers()[2].get_visible(),
    }


def applied():
    image, layer = pictures.picture()
    pictures.select(image, 10, 8, 30, 25)
    _, group, _ = pictures.call("velatura-sdedit", image, layer, **SHORT)
    (result,) = group.get_children()
    Gimp.Selection.none(image)
    mask, place = pictures.pixels(result.get_mask(), "Y u8"), result.get_offsets()[1:]
    result.remove_mask(Gimp.MaskApplyMode.APPLY)
    _, again, error = pictures.call("velatura-rerun", image, result)
    (new,) = again.get_children()
    new_mask = pictures.pixels(new.get_mask(), "Y u8")
    return {"error": error, "same": new_mask == mask, "place": new.get_offsets()[1:] == place}
