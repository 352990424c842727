"""In the open window: lists and dials as widgets, pressed and turned without a person."""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import gi

sys.path.insert(0, str(Path(__file__).parent))
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

import pictures  # noqa: E402
from gi.repository import Gimp, GimpUi, GLib, Gtk  # noqa: E402


def run(t):
    sys.path.insert(0, t.args["plugin"])
    GimpUi.init("velatura-test")
    for part in (plain, dials, more, numbers, presets, asked, waiting, called):
        t.step(part.__name__)
        t.note(**{part.__name__: part()})


def called():
    """Without a window the dials are JSON."""
    from velatura_plugin import catalogue, edit, form

    method = catalogue.registered(edit.FOLDER).dialler
    image, layer = pictures.picture()
    given = json.dumps([{"more": "hat", "strength": 40}, {"name": "nothing yet"}])
    values = {"source_prompt": "a man", "steps": 4, "dials": given}
    status, group, error = pictures.call(form.procedure_name(method), image, layer, **values)
    parameters = json.loads(pictures.recipe(group.get_children()[0]))["parameters"] if group else error
    image.delete()
    return [status, parameters]


class Form:
    """A list in a window of its own. is_dials: with the mark, or as any other group. method: with dials; ''
    for the first. layers: of the picture."""

    def __init__(self, is_dials, caption="", method="", layers=()):
        from velatura_plugin import catalogue, edit, form
        from velatura_plugin.dial_form import DialForm
        from velatura_plugin.list_form import ListForm

        known = catalogue.registered(edit.FOLDER)
        method = known.method(method) or known.dialler
        self.config = Gimp.get_pdb().lookup_procedure(form.procedure_name(method)).create_config()
        argument = next(a for a in form.arguments(method, known) if a.field.dials)
        argument = replace(argument, field=replace(argument.field, dials=is_dials, min_items=0, max_items=3))
        self.name, self.said, self.moves = argument.name, [], 0
        if is_dials:
            self.list = DialForm(self.config, argument, lambda: caption, self.said.append, lambda: layers)
        else:
            self.list = ListForm(self.config, argument)
        self.list.moved = self.count
        self.window = Gtk.Window()
        self.window.add(self.list)
        self.window.show()

    def count(self):
        self.moves += 1

    def kept(self, key):
        """What the configuration holds of each entry."""
        return [entry[key] for entry in json.loads(self.config.get_property(self.name))]

    def rows(self):
        return self.list._rows

    def buttons(self):
        """Which of up, down and remove can be pressed in each row, and whether one more can be added."""
        can = [[b.get_sensitive() for b in (row.up, row.down, row.remove)] for row in self.rows()]
        return [can, self.list._add.get_sensitive()]


def plain():
    form = Form(is_dials=False)
    found = {"empty": form.buttons()}
    for number in (-40.0, 20.0, 60.0):
        form.list._add.clicked()
        form.rows()[-1].set("strength", number, True)
    found["full"] = [form.kept("strength"), form.buttons(), form.moves]
    form.rows()[2].up.clicked()
    form.rows()[0].down.clicked()
    found["moved"] = [form.kept("strength"), [row.entry["strength"] for row in form.rows()]]
    places = form.list._list.get_children()
    found["shown"] = [places.index(row) for row in form.rows()]
    form.rows()[1].remove.clicked()
    found["removed"] = form.kept("strength")
    form.config.set_property(form.name, json.dumps([{"more": "hat"}]))
    found["loaded"] = [row.entry["more"] for row in form.rows()]
    form.config.set_property(form.name, "no list")
    found["unreadable"] = len(form.rows())
    form.window.destroy()
    return found


def more():
    """A dial with a painted place: folded away until it is set."""
    form = Form(is_dials=True, caption="a man", method="sega", layers=[("7", "Sky")])
    row = form.list._add_word("man") or form.rows()[0]
    found = {"added": [form.kept("where"), row.more.get_expanded()]}
    place = next(w for w in _inside(row.more) if isinstance(w, Gtk.ComboBoxText))
    place.set_active(2)
    found["chosen"] = form.kept("where")
    kept = form.config.get_property(form.name)
    form.config.set_property(form.name, "[]")
    form.config.set_property(form.name, kept)
    found["loaded"] = [form.kept("where"), form.rows()[0].more.get_expanded()]
    form.window.destroy()
    return found


def numbers():
    """The text of a slider without a step in the schema, whose default is small."""
    from velatura_plugin import catalogue, dialog, edit, form

    known = catalogue.registered(edit.FOLDER)
    method = known.method("blended-latent-diffusion")
    procedure = Gimp.get_pdb().lookup_procedure(form.procedure_name(method))
    shown = GimpUi.ProcedureDialog.new(procedure, procedure.create_config(), "Numbers")
    argument = next(a for a in form.arguments(method, known) if a.field.key == "fit_rate")
    slider = shown.get_spin_scale(argument.name, 1.0)
    dialog.fit(slider, argument.field)
    found = [slider.get_text(), slider.get_value()]
    shown.destroy()
    return found


def _inside(widget):
    """All widgets in a container."""
    for child in widget.get_children() if isinstance(widget, Gtk.Container) else []:
        yield child
        yield from _inside(child)


def dials():
    form = Form(is_dials=True, caption="a man with a beard")
    row = form.list._add_word("beard") or form.rows()[0]
    found = {"added": [form.kept("more"), form.moves, row.slider.get_label()]}
    row.texts["less"].set_text("stubble")
    row.texts["name"].set_text("")
    found["typing"] = [form.kept("less"), form.moves, row.slider.get_label()]
    row.texts["less"].activate()
    row.texts["less"].activate()
    found["meant"] = form.moves
    row.texts["name"].set_text("Fuller")
    row.texts["name"].activate()
    found["named"] = [form.kept("name"), form.moves, row.slider.get_label()]
    row._turn.set_value(-35.0)
    found["turned"] = [form.kept("strength"), form.moves]
    row._turn.set_value(-900.0)
    found["bounded"] = form.kept("strength")
    form.config.set_property(form.name, "[]")
    found["reset"] = len(form.rows())
    form.window.destroy()
    return found


def presets():
    form = Form(is_dials=True)
    menu = next(c for c in form.list.head.get_children() if hasattr(c, "_shelf"))
    form.list._add_word("beard")
    menu._ask_name = lambda: "Beards"
    menu._try(menu._save)
    form.list._add_word("hat")
    menu._try(menu._shelf.load, "Beards")
    found = {"loaded": form.kept("more")}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "shared.json")
        menu._ask_file = lambda *_: path
        menu._try(menu._export)
        form.list._add_word("hat")
        menu._try(menu._import)
        found["imported"] = form.kept("more")
        Path(path).write_text("{")
        menu._try(menu._import)
    found["names"] = menu._shelf.names()
    menu._shelf.delete("shared")
    menu._try(menu._shelf.delete, "Beards")
    found["deleted"] = [menu._shelf.names(), form.kept("more")]
    menu._try(menu._shelf.load, "Beards")
    menu._ask_name = menu._ask_file = lambda *_: ""
    menu._try(menu._save)
    menu._try(menu._import)
    found["said"] = form.said
    form.window.destroy()
    return found


def answers(kind, *answers):
    """Has the windows of this kind answered, one after the other: each answer sees the window that is there,
    and gives a response, or None where it wants to look again."""
    left = list(answers)

    def look():
        for window in Gtk.Window.list_toplevels():
            if isinstance(window, kind) and window.get_visible():
                response = left[0](window)
                if response is not None:
                    left.pop(0)
                    window.response(response)
        return bool(left)

    GLib.timeout_add(200, look)
    return left


def asked():
    """The windows that the menu of presets shows."""
    form = Form(is_dials=True)
    menu = next(c for c in form.list.head.get_children() if hasattr(c, "_shelf"))
    form.list._add_word("hat")
    menu._shelf.save("Hats")
    seen = []

    def sure(response):
        return lambda window: seen.append(window.get_property("text")) or response

    found = {}
    for response in (Gtk.ResponseType.CANCEL, Gtk.ResponseType.OK):
        answers(Gtk.MessageDialog, sure(response))
        menu._try(menu._ask_delete, "Hats")
        found[response.value_nick] = "Hats" in menu._shelf.names()
    found["question"] = seen
    with tempfile.TemporaryDirectory() as folder:

        def named(name):
            def answer(window):
                if window.get_current_folder() != folder:
                    window.set_current_folder(folder)
                    return None
                if window.get_current_name() != name:
                    window.set_current_name(name)
                    return None
                return Gtk.ResponseType.ACCEPT

            return answer

        def proposed(window):
            if window.get_current_name() == "shared":
                return None  # GTK looks first whether there is such a file
            seen.append(window.get_current_name())
            return Gtk.ResponseType.CANCEL

        answers(Gtk.FileChooserDialog, named("shared"))
        menu._try(menu._export)
        path = Path(folder) / "shared.json"
        found["exported"] = [child.name for child in Path(folder).iterdir()]
        path.write_text("another's")
        answers(Gtk.FileChooserDialog, named("shared"), proposed)
        menu._try(menu._export)
        found["over"] = [path.read_text(), seen[-1]]
    form.window.destroy()
    return found


def waiting():
    """Words that become dials, more of them than there can be."""
    from velatura_plugin import catalogue, edit, form
    from velatura_plugin.waiting import Waiting

    from velatura_protocol.words import Word

    known = catalogue.registered(edit.FOLDER)
    method = known.dialler
    arguments = form.arguments(method, known)
    name = next(argument.name for argument in arguments if argument.field.dials)
    image, _ = pictures.picture()

    def add(text):
        return Waiting(image, method).add(Word(text, 0, len(text), 1), text, "a man")

    said = [add(f"w{n}") for n in range(method.dials.max_items + 1)]
    again = add("W0")

    def opened():
        """What the form holds at first, and what the dialog says then."""
        config = Gimp.get_pdb().lookup_procedure(form.procedure_name(method)).create_config()
        config.set_property(name, json.dumps([{"more": "hat"}, {"more": "w1"}]))
        there = Waiting(image, method)
        there.put_into(config, arguments)
        entries = json.loads(config.get_property(name))
        says = there.left_out()
        add("late")
        there.drop()
        return [[entry["more"] for entry in entries], config.get_property("source-prompt"), says]

    found = {"most": method.dials.max_items, "said": [said[-2], said[-1], again]}
    found["opened"] = [opened() for _ in range(3)]
    image.delete()
    return found
