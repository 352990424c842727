"""The procedures: registered from the catalogue, never from the daemon; every failure becomes a sentence."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp, Gio, GLib, GObject

from velatura_protocol.catalogue import Catalogue, MethodInfo

from . import actions, catalogue, form, manual, rerun
from .edit import FOLDER, sentence

AGAIN = "velatura-rerun"
WINDOW = "velatura-window"
REFRESH = "velatura-refresh"
MENU = "<Image>/Filters/Velatura"
AUTHORS = "The Velatura authors"

_FLAGS = GObject.ParamFlags.READWRITE

_LAYER_RESULT = (
    "Edits the selected part of the layer and puts the result above it: a group with one masked layer for "
    "each variation. The layer itself is not changed."
)
_MASK_RESULT = (
    "Finds masks in the selected part of the layer and puts them into channels; a single one becomes the "
    "selection too. No layer is changed."
)


_AGAIN_HELP = (
    "Run Again with Other Settings",
    "Takes the source layer and the result's layer mask as they are now, and puts the new result above "
    "the old one. For a channel, finds its masks anew: in the whole layer, or in the present selection "
    "if they were found in one. Arguments that are left out are taken from the recipe, and where it is "
    "not certain which layer the result was made from, a script has to name it as the source.",
)
_WINDOW_HELP = (
    "Velatura…",
    "Opens Velatura's window, which stays beside the picture while you paint: all methods, their results "
    "side by side as they finish, and the history of everything that was made for this picture. A result "
    "becomes a layer once you keep it.",
)
_REFRESH_HELP = (
    "Look for New Methods",
    "Starts the daemon where none runs. New methods are in the menu at GIMP's next start.",
)


class VelaturaPlugIn(Gimp.PlugIn):
    """One procedure for each method, and three others: the window, run a recipe again, look for methods."""

    def do_query_procedures(self) -> list[str]:
        """The names of all procedures; writes the page behind their help buttons."""
        known = catalogue.register(FOLDER)
        others = ((WINDOW, *_WINDOW_HELP), (AGAIN, *_AGAIN_HELP), (REFRESH, *_REFRESH_HELP))
        manual.write(FOLDER, known, others)
        self.set_help_domain(manual.DOMAIN, Gio.File.new_for_path(str(FOLDER)))
        return [*map(form.procedure_name, known.offered), WINDOW, AGAIN, REFRESH]

    def do_set_i18n(self, _name: str) -> bool:
        """No translations."""
        return False

    def do_create_procedure(self, name: str) -> Gimp.Procedure | None:
        """The procedure of a name; None for an unknown one."""
        if name == AGAIN:
            return _again_procedure(self)
        if name == WINDOW:
            procedure = _image_procedure(self, WINDOW, "_Velatura…", actions.run_window, None)
            procedure.set_documentation("Opens Velatura's window beside the picture", _WINDOW_HELP[1], WINDOW)
            return procedure
        if name == REFRESH:
            return _refresh_procedure(self)
        known = catalogue.registered(FOLDER)
        method = next((m for m in known.offered if form.procedure_name(m) == name), None)
        return _method_procedure(self, name, method, known) if method else None


def _method_procedure(
    plug_in: Gimp.PlugIn, name: str, method: MethodInfo, known: Catalogue
) -> Gimp.ImageProcedure:
    menu = form.menu_path(MENU, method.section)
    procedure = _image_procedure(
        plug_in, name, form.menu_label(method, known), actions.run_method, (method, known), menu
    )
    source = f"\n\nAfter {method.source}." if method.source else ""
    is_mask = method.kind.insert == "selections"
    procedure.set_documentation(
        method.summary or method.title, f"{_MASK_RESULT if is_mask else _LAYER_RESULT}{source}", name
    )
    if is_mask:
        procedure.add_channel_return_value("channel", "Channel", "The first of the channels", True, _FLAGS)
        _add_items(procedure, "channels", "All channels, in no order", Gimp.Channel)
    else:
        _add_group(procedure)
    for argument in form.arguments(method, known):
        _add_argument(procedure, argument)
    return procedure


def _again_procedure(plug_in: Gimp.PlugIn) -> Gimp.ImageProcedure:
    procedure = _image_procedure(plug_in, AGAIN, "Run _Again with Other Settings…", rerun.run_again, None)
    procedure.set_documentation("Runs the recipe of the chosen result again", _AGAIN_HELP[1], AGAIN)
    procedure.add_item_return_value(
        "result", "Result", "The group of the result's layers, or the first of its channels", True, _FLAGS
    )
    _add_items(procedure, "results", "All layers or channels of the result, in no order", Gimp.Item)
    for argument in form.AGAIN_ARGUMENTS:
        _add_argument(procedure, argument)
    about = "The layer that the result was made from, where that is not certain"
    procedure.add_layer_argument("source", "S_ource", about, True, _FLAGS)
    return procedure


def _refresh_procedure(plug_in: Gimp.PlugIn) -> Gimp.ImageProcedure:
    procedure = _image_procedure(plug_in, REFRESH, "_Look for New Methods", actions.run_refresh, None)
    procedure.set_sensitivity_mask(
        Gimp.ProcedureSensitivityMask.ALWAYS | Gimp.ProcedureSensitivityMask.NO_IMAGE
    )
    procedure.set_documentation("Asks Velatura's daemon which methods it has", _REFRESH_HELP[1], REFRESH)
    about = "Whether GIMP's next start offers other methods"
    procedure.add_boolean_return_value("new", "New", about, False, _FLAGS)
    procedure.add_string_array_return_value("methods", "Methods", "The procedures of all methods", _FLAGS)
    return procedure


def _image_procedure(
    plug_in: Gimp.PlugIn, name: str, label: str, work: Callable, data: object, menu: str = MENU
) -> Gimp.ImageProcedure:
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, _guarded(work), data)
    procedure.set_image_types("*")  # an indexed picture is refused with a sentence, not with a gray menu
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
    procedure.set_menu_label(label)
    procedure.add_menu_path(menu)
    procedure.set_attribution(AUTHORS, "GPL-3.0-or-later", "2026")
    return procedure


def _add_group(procedure: Gimp.Procedure) -> None:
    procedure.add_group_layer_return_value("group", "Group", "The group of the result's layers", True, _FLAGS)
    _add_items(procedure, "layers", "All layers of the result, in no order", Gimp.Layer)


def _add_items(procedure: Gimp.Procedure, name: str, about: str, kind: type) -> None:
    title = name.capitalize()
    procedure.add_core_object_array_return_value(name, title, about, kind.__gtype__, _FLAGS)


def _add_argument(procedure: Gimp.Procedure, argument: form.Argument) -> None:
    field = argument.field
    words = (argument.name, argument.label, field.description)
    default = form.to_gimp(field, field.default)
    if field.kind == "integer":
        procedure.add_int_argument(*words, *form.bounds(field), default, _FLAGS)
    elif field.kind == "number":
        procedure.add_double_argument(*words, field.minimum, field.maximum, default, _FLAGS)
    elif field.kind == "boolean":
        procedure.add_boolean_argument(*words, default, _FLAGS)
    elif field.kind == "enum":  # as a choice of GIMP's, an unknown one would silently become the default
        listed = ", ".join(f'"{value}"' for value, _ in field.choices)
        procedure.add_string_argument(*words[:2], f"{field.description} One of {listed}.", default, _FLAGS)
    else:  # a string, a layer's name, or a group as JSON
        procedure.add_string_argument(*words, default, _FLAGS)


def _guarded(work: Callable) -> Callable:
    """The edge of the plug-in's process: every exception of `work` becomes one sentence for the person."""

    def run(procedure: Gimp.Procedure, *arguments: object) -> Gimp.ValueArray:
        try:
            return work(procedure, *arguments)
        except Exception as error:
            failure = GLib.Error(sentence(error))
            return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, failure)

    return run
