"""Running the recipe of a result again: its method's own form, filled in, and the changes to it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence

from gi.repository import Gimp

from velatura_protocol.catalogue import PROMPT, Catalogue, MethodInfo
from velatura_protocol.choices import Wanted, rasters_of_recipe, resolve, restore
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import Edit, Recipe
from velatura_protocol.sights import LAYER, VISIBLE

from . import catalogue, edit, form, recipe
from .actions import ask, run_now, success
from .capture import Capture, Steps, refuse_image
from .drafting import Live
from .keeping import Keeper, name_of
from .method_edit import helpers
from .rasters import layers, with_rasters
from .sight import Sight
from .sources import Doubt, others, source_of

_KEYS = ("prompt", "seed", "variations")


def run_again(
    procedure: Gimp.Procedure,
    mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list,
    config: Gimp.ProcedureConfig,
    _data: None,
) -> Gimp.ValueArray:
    """Runs the recipe of the chosen result again, with the person's or the script's changes."""
    refuse_image(image)
    result, kept = edit.chosen_recipe(image, drawables)
    is_visible = recipe.origin(kept)["sees"] == VISIBLE
    source = result if is_visible else _source(mode, image, result, kept, config)
    config.set_property("source", None)  # a layer of this image: GIMP must not keep it for another
    if source is None:
        return success(procedure, mode, None)
    last = Keeper(image, procedure.get_name(), form.AGAIN_ARGUMENTS, is_everywhere=True)
    target = edit.again(image, source, result)
    beneath = target.above if is_visible and result.is_layer() else None
    sight = Sight(image, source, VISIBLE if is_visible else LAYER, beneath)
    run = Again(image, kept, lambda: edit.capture_again(sight, result, kept))
    if mode == Gimp.RunMode.INTERACTIVE:
        return success(procedure, mode, _ask(procedure, config, target, run, kept, last, sight))
    if mode == Gimp.RunMode.WITH_LAST_VALS:
        last.fill(config)
    request, steps = run.request(_changes(config)), run.read(_changes(config))
    return success(procedure, mode, run_now(target, steps, request, "running the recipe again"))


class Again:
    """The edit of a recipe, with changes, on the layers as they are now.

    restored: the values of its method's form. A change of parameters may hold choices of layers.
    """

    def __init__(self, image: Gimp.Image, kept: Recipe, capture: Callable[[], Steps[Capture]]) -> None:
        self._image, self._kept, self._capture = image, kept, capture
        self.known = catalogue.registered(edit.FOLDER)
        self.method = self.known.method(kept.request.method)
        request, there = kept.request, layers(image)
        fields = self.method.form if self.method else ()
        self.restored = restore(fields, request.parameters, request.inputs, there)

    def _resolved(self, changes: dict) -> tuple[dict, list[Wanted]]:
        """Parameters and rasters. Raises `bad-request` where a layer of the recipe is gone and none is named
        for it."""
        changed = changes.get("parameters", {})
        if self.method is None:  # without a schema no parameter is known to be a raster
            again = rasters_of_recipe(self._kept.request.inputs, layers(self._image))
            return {**self._kept.request.parameters, **changed}, again
        if self.restored.keys - changed.keys():
            raise VelaturaError("bad-request", self.restored.lost)
        return resolve(self.method.title, self.method.form, {**self.restored.values, **changed})

    def request(self, changes: dict) -> Edit:
        """The edit to send."""
        return self._kept.again(**{**changes, "parameters": self._resolved(changes)[0]})

    def wanted(self, changes: dict) -> list[Wanted]:
        """The rasters to read for it."""
        return self._resolved(changes)[1]

    def read(self, changes: dict) -> Steps[Capture]:
        """The capture of source, selection and rasters."""
        return with_rasters(self._image, self._capture(), self.wanted(changes))


def _source(
    mode: Gimp.RunMode, image: Gimp.Image, result: Gimp.Item, kept: Recipe, config: Gimp.ProcedureConfig
) -> Gimp.Layer | None:
    """The result's source layer; None where the person, who is asked in doubt, cancels. A script may name it.
    Raises `Doubt` where nobody can be asked.
    """
    given = config.get_property("source") if mode == Gimp.RunMode.NONINTERACTIVE else None
    layers = others(image, result)
    if given is not None:
        if given.get_id() not in [layer.get_id() for layer in layers]:
            raise VelaturaError(
                "bad-request", "The layer that is named as “source” is not another layer of this picture."
            )
        return given
    try:
        return source_of(image, result, kept)
    except Doubt as doubt:
        group = result.get_parent() if result.is_layer() else None
        layers = [layer for layer in layers if group is None or layer.get_id() != group.get_id()]
        if mode != Gimp.RunMode.INTERACTIVE or not layers:
            raise
        from . import choosing  # needs a window

        return choosing.choose(doubt.layers, layers)


def _ask(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    target: edit.Target,
    run: Again,
    kept: Recipe,
    last: Keeper,
    sight: Sight,
) -> edit.Placed | None:
    """Shows the recipe in its method's own form, or in a plain one where the method is not in the catalogue.

    Returns the result, None where the person has cancelled. The changes go into `config`, the configuration
    of running again, from which GIMP repeats it, and into `last`.
    """
    known, method = run.known, run.method
    own = Gimp.get_pdb().lookup_procedure(form.procedure_name(method)) if method else None
    is_plain = method is None or own is None  # of another version, or new since GIMP started
    arguments = list(form.AGAIN_ARGUMENTS)
    if not is_plain:  # it sees what it saw
        arguments = [a for a in form.arguments(method, known) if a.field.key != form.SEES]
    values = config if is_plain else own.create_config()
    fill(values, arguments, kept, None if is_plain else run.restored.values)

    def changes() -> dict:
        if not is_plain:
            for key, value in _chosen(values, arguments, method).items():
                config.set_property(key, json.dumps(value) if key == "parameters" else value)
        return _changes(config)

    live = Live(
        target=target,
        read=lambda: run.read(changes()),
        request=lambda: run.request(changes()),
        model=lambda: kept.request.model,
        needs_prompt=is_plain or method.need(PROMPT) == "required",
        chosen=lambda: tuple(run.wanted(changes())),
        gives_drafts=method is None or method.drafts,
        begins_with=run.restored.lost,
        painter=lambda: kept.request.model,
        **helpers(target.image, lambda: sight, None if is_plain else method),
    )
    keeper = Keeper(target.image, name_of(kept), arguments)
    keeper.fill(values)
    title = "Run Again" if is_plain else f"{method.title}, again"
    placed = ask(procedure if is_plain else own, values, title, arguments, Catalogue(), live, keeper)
    with contextlib.suppress(VelaturaError):  # a list that is half typed is kept with the form alone
        changes()
    if placed is not None:
        last.drop()
    elif keeper.has_kept:
        last.keep(config)
    return placed


def fill(
    values: Gimp.ProcedureConfig, arguments: Sequence[form.Argument], kept: Recipe, shown: dict | None
) -> None:
    """Puts a recipe into a configuration. shown: the values of its method's form; None for the plain form,
    where nothing is changed yet."""
    own = {key: getattr(kept.request, key) for key in _KEYS}
    for argument in arguments:
        if shown is None:
            recorded = own if argument.name in _KEYS else {}
        else:
            recorded = shown if argument.name not in _KEYS else own
        if argument.name != "model":
            value = form.to_gimp(argument.field, recorded.get(argument.field.key, argument.field.default))
            values.set_property(argument.name, value)


def _chosen(values: Gimp.ProcedureConfig, arguments: Sequence[form.Argument], method: MethodInfo) -> dict:
    shown = {key: values.get_property(key) for key in _KEYS}
    return {**shown, "parameters": form.parameters(arguments, values.get_property, method)}


def _changes(config: Gimp.ProcedureConfig) -> dict:
    """The changes that the arguments of running again make in a recipe."""
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
