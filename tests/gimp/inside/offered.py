"""Notes Velatura's procedures, and what one of them says when it is run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp


def run(t):
    names = [
        n for n in Gimp.get_pdb().query_procedures("velatura-.*", *[".*"] * 7) if n != "velatura-refresh"
    ]
    t.note(
        names=sorted(names),
        labels=[Gimp.get_pdb().lookup_procedure(n).get_menu_label() for n in sorted(names)],
    )
    if t.args.get("refresh"):
        values = Gimp.get_pdb().lookup_procedure("velatura-refresh").run(refresh())
        t.note(refresh=values.index(0).value_nick, new=values.index(1), methods=sorted(values.index(2)))
    if t.args.get("run"):
        image, layer = pictures.picture()
        t.step("running")
        status, group, error = pictures.call(
            t.args["run"], image, layer, prompt="a hat", **t.args.get("values", {})
        )
        t.note(status=status, error=error, layers=len(group.get_children()) if group else 0)


def refresh():
    image, layer = pictures.picture()
    config = Gimp.get_pdb().lookup_procedure("velatura-refresh").create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    return config
