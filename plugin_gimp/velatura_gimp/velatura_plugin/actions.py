"""What the procedures do when they are run: ask where there is a window, edit, hand the result back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gi.repository import Gimp, GObject

from velatura_protocol.errors import VelaturaError

from . import catalogue, edit, form, recipe
from .capture import refuse_image, source_layer
from .catalogue import Catalogue, MethodInfo
from .form import Argument
from .selecting import Selector


def run_method(
    procedure: Gimp.Procedure,
    mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list,
    config: Gimp.ProcedureConfig,
    data: tuple[MethodInfo, Catalogue],
) -> Gimp.ValueArray:
    """Runs a method's procedure."""
    method, known = data
    layer = source_layer(image, drawables)
    arguments = form.arguments(method, known)
    finder = known.word_masks()
    selector = Selector(image, layer, finder) if finder and method.words else None
    if mode == Gimp.RunMode.INTERACTIVE and not _ask(
        procedure, config, method.title, arguments, known, selector
    ):
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    Gimp.progress_init(f"Velatura: {method.title}")
    model = config.get_property("model")
    request = recipe.request(
        method.id,
        config.get_property("prompt") or "",
        config.get_property("seed"),
        config.get_property("variations"),
        form.parameters(arguments, config.get_property, method),
        model="" if model == form.DEFAULT_MODEL else model,
    )
    return _success(procedure, mode, edit.edit(image, layer, request))


def run_again(
    procedure: Gimp.Procedure,
    mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list,
    config: Gimp.ProcedureConfig,
    _data: None,
) -> Gimp.ValueArray:
    """Runs the recipe of the chosen result again, with the changes asked for or given."""
    refuse_image(image)
    result, kept = edit.chosen_recipe(drawables)
    if mode == Gimp.RunMode.INTERACTIVE and not _ask_again(procedure, config, kept):
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    Gimp.progress_init("Velatura: running the recipe again")
    return _success(procedure, mode, edit.edit_again(image, result, kept, _changes(config)))


def run_refresh(procedure: Gimp.Procedure, *_: object) -> Gimp.ValueArray:
    """Asks the daemon for its methods and says what came of it."""
    Gimp.progress_init("Velatura")
    with edit.open_session() as session:
        new = edit.refresh(session)
    titles = ", ".join(method.title for method in catalogue.registered(edit.FOLDER).offered)
    when = "Start GIMP again to have them in the menu" if new else "All are in the menu"
    Gimp.message(f"Velatura's daemon is running. {when}: {titles}.")
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def _success(procedure: Gimp.Procedure, mode: Gimp.RunMode, item: Gimp.Item) -> Gimp.ValueArray:
    if mode != Gimp.RunMode.NONINTERACTIVE:
        Gimp.displays_flush()
    Gimp.progress_end()
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    values.remove(1)
    values.insert(1, GObject.Value(type(item), item))
    return values


def _ask(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    title: str,
    arguments: Sequence[Argument],
    known: Catalogue,
    selector: Selector | None = None,
) -> bool:
    from . import dialog  # needs a window

    hidden = [a.name for a in arguments if a.field.kind == "integer" and a.field.minimum == a.field.maximum]
    if len(known.models) < 2:
        hidden.append("model")
    return dialog.ask(procedure, config, title, arguments, hidden, selector)


def _ask_again(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, kept: dict) -> bool:
    """Shows the recipe in its method's own form, or in a plain one where the method is not in the catalogue.

    What is chosen is left in `config`, the configuration of running again, from which GIMP repeats it.
    """
    known = catalogue.registered(edit.FOLDER)
    method = known.method(kept["method"])
    for key in ("prompt", "seed", "variations"):
        config.set_property(key, kept[key])
    if method is None:
        return _ask(procedure, config, "Run Again", form.AGAIN_ARGUMENTS, known)
    own = Gimp.get_pdb().lookup_procedure(form.procedure_name(method))
    if own is None:  # new since GIMP started
        return _ask(procedure, config, "Run Again", form.AGAIN_ARGUMENTS, known)
    arguments = form.arguments(method, known)
    values = own.create_config()
    for argument in arguments:
        if argument.name != "model":
            recorded = kept["parameters"] if argument.field in method.fields else kept
            value = form.to_gimp(argument.field, recorded.get(argument.field.key, argument.field.default))
            values.set_property(argument.name, value)
    if not _ask(own, values, f"{method.title}, again", arguments, Catalogue()):
        return False
    for key in ("prompt", "seed", "variations"):
        config.set_property(key, values.get_property(key))
    config.set_property("parameters", json.dumps(form.parameters(arguments, values.get_property, method)))
    return True


def _changes(config: Gimp.ProcedureConfig) -> dict:
    """What the arguments of running again change in a recipe."""
    changes: dict = {}
    if config.get_property("prompt"):
        changes["prompt"] = config.get_property("prompt")
    if config.get_property("seed") != form.RECORDED_SEED:
        changes["seed"] = config.get_property("seed")
    if config.get_property("variations") != form.RECORDED_VARIATIONS:
        changes["variations"] = config.get_property("variations")
    if config.get_property("parameters"):
        changes["parameters"] = _json_object(config.get_property("parameters"))
    return changes


def _json_object(text: str) -> dict:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        value = str(error)
    if not isinstance(value, dict):
        raise VelaturaError(
            "bad-request",
            'The parameters have to be a JSON object such as {"strength": 0.5}; correct them.',
            detail=str(value),
        )
    return value
