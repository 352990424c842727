"""Notes the menus of Velatura's procedures, and runs one of them with several models."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp


def run(t):
    names = Gimp.get_pdb().query_procedures("velatura-.*", *[".*"] * 7)
    t.note(menus={name: Gimp.get_pdb().lookup_procedure(name).get_menu_paths() for name in names})
    for model in t.args.get("models", []):
        image, layer = pictures.picture()
        status, group, error = pictures.call(t.args["run"], image, layer, model=model)
        made = [pictures.recipe(child) for child in group.get_children()] if group else []
        t.note(**{model: [status, error, made]})
