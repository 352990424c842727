"""In the open window: a seed and a list of choices as widgets, and a source that multiplies."""

import sys
from pathlib import Path

import gi

sys.path.insert(0, str(Path(__file__).parent))
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import Gimp, GimpUi  # noqa: E402


def run(t):
    sys.path.insert(0, t.args["plugin"])
    GimpUi.init("velatura-test")
    t.note(seed=seed(), choice=choice())
    (image,) = Gimp.get_images()
    image.get_layers()[-1].set_mode(Gimp.LayerMode.MULTIPLY)


def widget(name):
    """A widget of SDEdit's form, its configuration and the argument."""
    from velatura_plugin import catalogue, edit, form
    from velatura_plugin.choice_form import ChoiceForm
    from velatura_plugin.seed_form import SeedForm

    known = catalogue.registered(edit.FOLDER)
    config = Gimp.get_pdb().lookup_procedure("velatura-sdedit").create_config()
    argument = next(a for a in form.arguments(known.method("sdedit"), known) if a.name == name)
    return config, argument, SeedForm if name == "seed" else ChoiceForm


def seed():
    config, argument, kind = widget("seed")
    made = kind(config, argument)
    number, new, chance = made.get_children()
    seen = [[chance.get_active(), number.get_sensitive()]]
    new.clicked()
    drawn = config.get_property("seed")
    seen.append([chance.get_active(), number.get_sensitive(), number.get_value_as_int() == drawn >= 0])
    number.set_value(2**31 - 1)
    seen.append(config.get_property("seed"))
    chance.set_active(True)
    seen.append(config.get_property("seed"))
    config.set_property("seed", 12)
    return [*seen, [chance.get_active(), number.get_value_as_int()]]


def choice():
    config, argument, kind = widget("sees")
    config.set_property("sees", "no such thing")
    made = kind(config, argument)
    seen = [config.get_property("sees"), made.get_active_text()]
    made.set_active(1)
    seen.append(config.get_property("sees"))
    config.set_property("sees", "layer")
    return [*seen, made.get_active_text()]
