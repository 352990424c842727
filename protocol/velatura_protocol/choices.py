"""The person's choice for each raster of a method: a layer, the selection, or nothing.

A host's form shows a raster as a field of kind 'raster' (`raster_fields` for those of the method; a group's
entries have theirs in the schema). The field's value in the form is a choice: None, `SELECTION`, or
`of_layer(id)` with the host's id of the layer. `resolve` turns a whole form into the parameters to send and a
list of rasters to read; `restore` turns a recipe into choices, by the names of the layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import VelaturaError
from .inputs import OWN, RasterInput, entry_name
from .rasters import MAX_NAME, Raster
from .reading import as_list, as_object
from .schema import Field

SELECTION = "selection"
NOTHING_CHOSEN = "Choose a layer…"  #: of a raster that the method requires
NO_LAYER = "None"  #: of one that may be left out
SELECTION_TITLE = "The selection"
_LAYER = "layer."
_INPUT = "input."  #: begins the key of a method's own raster in a form; no parameter has a point


@dataclass(frozen=True, slots=True)
class Wanted:
    """A raster that the host has to read.

    Attributes:
        name: its key in the request.
        title: for the person.
        kind: a key of `kinds.RASTERS`.
        choice: never None.
    """

    name: str
    title: str
    kind: str
    choice: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A form's values from a recipe.

    lost: a sentence that names the rasters to choose anew, or ''. keys: the keys of their fields.
    """

    values: dict[str, object]
    lost: str = ""
    keys: frozenset[str] = frozenset()


def of_layer(identifier: object) -> str:
    """The choice of the host's layer of this id."""
    return f"{_LAYER}{identifier}"


def layer_of(choice: str | None) -> str:
    """The id of the chosen layer; '' where none is chosen."""
    return choice.removeprefix(_LAYER) if choice and choice.startswith(_LAYER) else ""


def raster_fields(rasters: Sequence[RasterInput]) -> tuple[Field, ...]:
    """The fields by which a person chooses a method's further rasters."""
    return tuple(
        Field(
            key=_INPUT + raster.name,
            kind="raster",
            title=raster.title,
            description=raster.description,
            default=None,
            raster=raster.kind,
            required=raster.need == "required",
        )
        for raster in rasters
    )


def offers(field: Field, layers: Sequence[tuple[object, str]]) -> list[tuple[str | None, str]]:
    """The choices for a field of kind 'raster': (choice, title), nothing first.

    layers: (id, name) of the picture's layers, from top to bottom.
    """
    nothing = NOTHING_CHOSEN if field.required else NO_LAYER
    selection = [(SELECTION, SELECTION_TITLE)] if field.takes_selection else []
    return [(None, nothing), *selection, *((of_layer(id), name) for id, name in layers)]


def resolve(
    title: str, fields: Sequence[Field], values: Mapping[str, object]
) -> tuple[dict[str, object], list[Wanted]]:
    """The parameters to send, and the rasters to read.

    Args:
        title: the method's.
        fields: of the whole form.
        values: of the form, by key.

    Raises `bad-request` where a required raster has not been chosen.
    """
    rasters = {field.key for field in fields if field.kind == "raster"}
    parameters = {key: value for key, value in values.items() if key not in rasters}
    wanted: list[Wanted] = []
    for field in fields:
        value = values.get(field.key, field.default)
        if field.kind == "raster":
            if isinstance(value, str):
                wanted.append(Wanted(field.key.removeprefix(_INPUT), field.title, field.raster, value))
            elif field.required:
                where = "a layer or the selection" if field.takes_selection else "a layer"
                sentence = f"“{title}” needs “{field.title}”; choose {where} for it."
                raise VelaturaError("bad-request", sentence)
        elif field.kind == "group" and field.key in values and (given := as_list(value)) is not None:
            entries = [_entry(field, number, entry, wanted) for number, entry in enumerate(given, 1)]
            parameters[field.key] = entries
    return parameters, wanted


def _entry(group: Field, number: int, entry: object, wanted: list[Wanted]) -> object:
    given = as_object(entry)
    if given is None:
        return entry  # the daemon refuses it
    named = dict(given)
    for field in group.fields:
        choice = named.get(field.key)
        if field.kind == "raster" and isinstance(choice, str):
            name = entry_name(group.key, number, field.key)
            wanted.append(Wanted(name, _entry_title(group, number, field), field.raster, choice))
            named[field.key] = name
    return named


def _entry_title(group: Field, number: int, field: Field) -> str:
    return f"{group.title} {number}, {field.title}"


def restore(
    fields: Sequence[Field],
    parameters: Mapping[str, object],
    inputs: Mapping[str, Raster | None],
    layers: Sequence[tuple[object, str]],
) -> Restored:
    """The form's values from a recipe. Each raster is looked up among the layers by the name that it had.

    Args:
        fields: of the whole form.
        parameters: of the recipe.
        inputs: of the recipe.
        layers: (id, name) of the picture's layers, from top to bottom.
    """
    lost: list[str] = []
    keys: set[str] = set()
    by_name = _by_name(layers)

    def choice_of(key: str, title: str, raster: Raster | None) -> str | None:
        if raster is None:
            return None
        if not raster.layer and raster.channels == "A":
            return SELECTION
        choice = by_name.get(raster.layer)
        if choice is None:
            keys.add(key)
            lost.append(f"“{title}” (it was '{raster.layer}')" if raster.layer else f"“{title}”")
        return choice

    values = dict(parameters)
    for field in fields:
        if field.kind == "raster":
            values[field.key] = choice_of(field.key, field.title, inputs.get(field.key.removeprefix(_INPUT)))
        entries = as_list(values.get(field.key))
        if field.kind == "group" and entries is not None:
            entries = list(entries)
            for inner in field.fields:
                for i, value in enumerate(entries if inner.kind == "raster" else ()):
                    entry = as_object(value) or {}
                    name, title = entry.get(inner.key), _entry_title(field, i + 1, inner)
                    if isinstance(name, str):
                        entries[i] = {**entry, inner.key: choice_of(field.key, title, inputs.get(name))}
            values[field.key] = entries
    if not lost:
        return Restored(values)
    sentence = f"There is no layer of that name any more; choose one for {' and '.join(lost)}."
    return Restored(values, sentence, frozenset(keys))


def rasters_of_recipe(
    inputs: Mapping[str, Raster | None], layers: Sequence[tuple[object, str]]
) -> list[Wanted]:
    """The rasters to read for the further inputs of a recipe whose form is not known; its parameters serve as
    they are. Arguments as in `restore`. Raises `bad-request` where a layer is gone."""
    by_name = _by_name(layers)
    wanted: list[Wanted] = []
    for name, raster in inputs.items():
        if raster is None or name in OWN:
            continue
        choice = SELECTION if not raster.layer and raster.channels == "A" else by_name.get(raster.layer)
        if choice is None:
            sentence = f"There is no layer '{raster.layer}' any more, which was “{name}”; make the edit anew."
            raise VelaturaError("bad-request", sentence)
        wanted.append(Wanted(name, name, "", choice))
    return wanted


def _by_name(layers: Sequence[tuple[object, str]]) -> dict[str, str]:
    """The choice of each layer by its name as a recipe has it, which holds no longer ones. The topmost of
    equal ones counts."""
    return {name[:MAX_NAME]: of_layer(id) for id, name in reversed(layers)}


def gone() -> VelaturaError:
    """The refusal of a chosen layer that is not in the picture any more."""
    return VelaturaError("bad-request", "The layer is not in this picture any more; choose another one.")


def no_selection() -> VelaturaError:
    """The refusal of the selection while nothing is selected."""
    return VelaturaError("empty-mask", "Nothing is selected; select something, or choose a layer.")


def about_input(wanted: Wanted, error: VelaturaError) -> VelaturaError:
    """An error of reading a layer, with this raster's title before its sentence."""
    sentence = f"“{wanted.title}”: {error.message}"
    return VelaturaError(error.code, sentence, hint=error.hint, detail=error.detail)
