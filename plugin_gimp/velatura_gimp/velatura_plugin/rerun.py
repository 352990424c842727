"""Running the recipe of a result again: its method's own form, filled in, and what is changed in it."""

from __future__ import annotations

import json

from gi.repository import Gimp

from velatura_protocol.errors import VelaturaError

from . import catalogue, edit, form, recipe
from .actions import ask, helpers, success
from .capture import refuse_image
from .catalogue import Catalogue
from .drafting import Live

_KEYS = ("prompt", "seed", "variations")


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
    source = edit.source_of(image, result, kept)
    if mode == Gimp.RunMode.INTERACTIVE:
        changes = _ask(procedure, config, image, source, result, kept)
    else:
        changes = _changes(config)
    if changes is None:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    Gimp.progress_init("Velatura: running the recipe again")
    return success(procedure, mode, edit.edit_again(image, source, result, kept, changes))


def _ask(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    image: Gimp.Image,
    source: Gimp.Layer,
    result: Gimp.Item,
    kept: dict,
) -> dict | None:
    """Shows the recipe in its method's own form, or in a plain one where the method is not in the catalogue.

    Returns what is changed, None where the person has cancelled. It is left in `config`, the configuration of
    running again, from which GIMP repeats it.
    """
    known = catalogue.registered(edit.FOLDER)
    method = known.method(kept["method"])
    own = Gimp.get_pdb().lookup_procedure(form.procedure_name(method)) if method else None
    for key in _KEYS:
        config.set_property(key, kept[key])
    if method is None or own is None:  # of another version, or new since GIMP started
        done = ask(procedure, config, "Run Again", form.AGAIN_ARGUMENTS, known)
        return _changes(config) if done else None
    arguments = form.arguments(method, known)
    values = own.create_config()
    for argument in arguments:
        if argument.name != "model":
            recorded = kept["parameters"] if argument.field in method.fields else kept
            value = form.to_gimp(argument.field, recorded.get(argument.field.key, argument.field.default))
            values.set_property(argument.name, value)

    def chosen() -> dict:
        shown = {key: values.get_property(key) for key in _KEYS}
        return {**shown, "parameters": form.parameters(arguments, values.get_property, method)}

    live = Live(
        read=lambda: edit.capture_again(image, source, result, kept),
        request=lambda: recipe.again(kept, chosen()),
        model=lambda: recipe.model(kept),
        needs_prompt=method.needs_prompt,
        **helpers(image, source, method),
    )
    if not ask(own, values, f"{method.title}, again", arguments, Catalogue(), live):
        return None
    for key, value in chosen().items():
        config.set_property(key, json.dumps(value) if key == "parameters" else value)
    return live.settle(_changes(config))


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
