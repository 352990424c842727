"""In the open window: the choice of a layer as a widget, in a form and in an entry of a list."""

import json
import sys
from pathlib import Path

import gi

sys.path.insert(0, str(Path(__file__).parent))
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

import rasters  # noqa: E402
from gi.repository import Gimp, GimpUi, Gtk  # noqa: E402


def titles(combo):
    return [row[0] for row in combo.get_model()]


def pick(combo, title):
    combo.set_active(titles(combo).index(title))


def run(t):
    sys.path.insert(0, t.args["plugin"])
    GimpUi.init("velatura-test")
    from velatura_plugin import catalogue, edit, form
    from velatura_plugin.list_form import ListForm
    from velatura_plugin.raster_form import RasterForm
    from velatura_plugin.rasters import layers

    image, _ = rasters.composed()
    known = catalogue.registered(edit.FOLDER)
    method = known.method("arrange")
    arguments = {a.field.key: a for a in form.arguments(method, known)}
    procedure = Gimp.get_pdb().lookup_procedure(form.procedure_name(method))
    config = procedure.create_config()
    name = arguments["input.segments"].name
    config.set_property(name, "layer.of another picture")

    own = RasterForm(config, arguments["input.segments"], lambda: layers(image))
    t.note(offered=titles(own), stale=config.get_property(name))
    pick(own, "Segments")
    t.note(kept=config.get_property(name))
    config.set_property(name, "Spot")
    t.note(by_name=own.get_active_text())

    entries = arguments["concepts"].name
    config.set_property(entries, json.dumps([{"text": "a", "where": "layer.gone"}]))
    shown = ListForm(config, arguments["concepts"], lambda: layers(image))
    window = Gtk.Window()
    window.add(shown)
    window.show()
    shown._add.clicked()
    combos = [combos_in(row)[0] for row in shown._rows]
    t.note(offered_to_entry=titles(combos[1]), gone=json.loads(config.get_property(entries))[0]["where"])
    pick(combos[1], "Spot")
    shown._rows[1].up.clicked()
    t.note(moved=[entry["where"] for entry in json.loads(config.get_property(entries))])
    image.get_layer_by_name("Spot").set_name("Dot")
    combos[0].choose(combos[0].chosen)
    t.note(renamed=titles(combos[0]), left=combos[0].get_active_text())
    window.destroy()
    t.note(pictures=in_pictures(procedure.create_config(), list(arguments.values()), name, entries))
    image.delete()


def in_pictures(config, arguments, own, entries):
    """What a form shows for its rasters in the next picture, and again in the picture of the choice."""
    from velatura_plugin.keeping import Keeper

    first, following = rasters.composed()[0], rasters.composed()[0]
    names = (own, entries)
    seen = []
    for image in (first, following, first):
        keeper = Keeper(image, "test", arguments, is_everywhere=True)
        keeper.fill(config)
        keeper.forget_others(config, captions=False)
        seen.append([config.get_property(name) for name in names])
        if len(seen) == 1:
            config.set_property(own, "layer.Segments")
            config.set_property(entries, json.dumps([{"text": "a", "where": "layer.Spot"}]))
            keeper.keep(config)
    keeper.drop()
    first.delete()
    following.delete()
    return seen


def combos_in(widget):
    from velatura_plugin.raster_form import RasterCombo

    if isinstance(widget, RasterCombo):
        return [widget]
    children = widget.get_children() if isinstance(widget, Gtk.Container) else []
    return [found for child in children for found in combos_in(child)]
