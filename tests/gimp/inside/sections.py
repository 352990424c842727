"""Notes the menus of Velatura's procedures, and runs one of them with several models."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp


def run(t):
    names = Gimp.get_pdb().query_procedures("velatura-.*", *[".*"] * 7)
    t.note(menus={name: Gimp.get_pdb().lookup_procedure(name).get_menu_paths() for name in names})
    image, _ = pictures.picture()
    empty = Gimp.Layer.new(image, "empty", 40, 32, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(empty, None, 0)
    status, group, error = pictures.call("velatura-paint", image, empty, prompt="a hat", steps=4)
    made = group.get_children()[0] if group else None
    t.note(painted=[status, error, [made.get_width(), made.get_height()] if made else []])
    for model in t.args.get("models", []):
        image, layer = pictures.picture()
        status, group, error = pictures.call(t.args["run"], image, layer, model=model)
        made = [pictures.recipe(child) for child in group.get_children()] if group else []
        t.note(**{model: [status, error, made]})
