"""The group "Adapters" of every method that uses a diffusion model. Imports no torch.

The daemon fills in which adapters there are; where there are none, clients get no such group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from velatura.models import recognition
from velatura.models.adapters import inversions
from velatura.models.adapters.listing import MOST_WORN, AdapterFile, Worn
from velatura.models.catalogue import ModelEntry
from velatura.models.recognition import FAMILIES
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import canonical

from . import around
from .parameters import Parameters, with_group

KEY = "adapters"
"""The group's key in the parameters of a method."""

NOTHING = "(choose an adapter)"


class AdapterSettings(Parameters):
    """An entry of `KEY`. file: `AdapterFile.value`, or '' for none yet."""

    file: str = Field(
        "",
        max_length=160,
        title="Adapter",
        description="A file that teaches the model a style or a thing (LoRA), makes it a slider, or gives it"
        " a new word for prompts.",
    )
    strength: float = Field(
        100.0,
        ge=-200.0,
        le=200.0,
        title="How much",
        description="In per cent of its own strength; below 0 it leads the other way, at 0 it does nothing.",
        json_schema_extra={"multipleOf": 5.0},
    )


class Wanted(NamedTuple):
    """An adapter to be worn. strength: 1 as it was trained; negative for the other way."""

    file: AdapterFile
    strength: float


def with_adapters(parameters: type[Parameters]) -> type[Parameters]:
    """The class of parameters with the group. Raises TypeError if it has another field of that key."""
    group = Field(
        [],
        max_length=MOST_WORN,
        title="Adapters",
        description="Files that change the model for this edit alone; several add up.",
        json_schema_extra={"x-order": 95, "x-advanced": True},
    )
    return with_group(parameters, KEY, AdapterSettings, group)


def fitting(
    methods: Sequence[Mapping[str, Any]], adapters: Sequence[AdapterFile], room: int
) -> list[AdapterFile]:
    """The first adapters whose choices fit into a message, in their order. Words are behind the others, since
    they act without being chosen.

    Args:
        methods: as the protocol describes them; each form with the group lists the adapters.
        adapters: to be offered.
        room: bytes of the message that are left.
    """
    forms = sum(KEY in method["parameters"]["properties"] for method in methods)
    kept: set[str] = set()
    for one in sorted(adapters, key=lambda one: one.word != ""):
        room -= forms * len(canonical([one.value, _title(one, FAMILIES[one.family].title)]))
        if room < 0:
            break
        kept.add(one.id)
    return [one for one in adapters if one.id in kept]


def filled(
    methods: Iterable[dict[str, Any]], adapters: Sequence[AdapterFile], left_out: int = 0
) -> list[dict[str, Any]]:
    """Methods as the protocol describes them, with the adapters as choices; without adapters, without the
    group. left_out: the number of adapters that do not fit into the list, which is told."""
    return [
        {**method, "parameters": _form(method["parameters"], adapters, left_out)}
        if KEY in method["parameters"]["properties"]
        else method
        for method in methods
    ]


def suiting(adapters: Sequence[AdapterFile], models: Sequence[ModelEntry]) -> list[AdapterFile]:
    """The adapters that suit the family of one of the models."""
    families = {model.found.family for model in models if model.found and not model.fault}
    return [one for one in adapters if any(FAMILIES[family].wears(one.family) for family in families)]


def without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Parameters without the empty groups that every method gets: their recipe is one of a daemon that does
    not know them."""
    return {key: value for key, value in values.items() if key not in (KEY, around.KEY) or value != []}


def wanted(params: Parameters, model: ModelEntry, adapters: Sequence[AdapterFile]) -> list[Wanted]:
    """The adapters that parameters name, without those at 0.

    Raises:
        VelaturaError: `bad-request` for one that is not there, or whose file has changed;
            `unknown-model` for one of another family than the model's.
    """
    chosen: list[Wanted] = []
    for one in getattr(params, KEY, []):
        id, _, title = one.file.partition(":")
        if not id:
            continue
        file = next((file for file in adapters if file.id == id), None)
        if file is None:
            raise VelaturaError(
                "bad-request",
                f"The adapter {title or id!r} is not on this computer, or its file has changed; put the file "
                "back and run `velatura models find`, or leave it out.",
            )
        family = model.found.family if model.found else ""
        if not (family and FAMILIES[family].wears(file.family)):
            raise VelaturaError(
                "unknown-model",
                f"The adapter {file.title!r} is for {FAMILIES[file.family].title}, and {model.title!r} is"
                f" {FAMILIES[family].title if family else 'another model'}; choose a model that it suits.",
            )
        if one.strength:
            chosen.append(Wanted(file, one.strength / 100.0))
    return chosen


def with_words(
    values: dict[str, Any],
    texts: Sequence[str],
    model: ModelEntry,
    adapters: Callable[[], Sequence[AdapterFile]],
) -> dict[str, Any]:
    """Parameters with the textual inversions whose words are in the texts, so that a recipe names them.

    Args:
        values: the parameters as JSON.
        texts: that the model reads.
        model: of whose family and text encoder the words are.
        adapters: gives the adapters on this computer.

    Raises:
        VelaturaError: `bad-request` for more adapters than an edit can have.
    """
    if model.found is None or not any(texts):
        return values
    chosen: list[dict[str, Any]] = [*values.get(KEY, [])]
    ids = {entry["file"].partition(":")[0] for entry in chosen}
    suiting = [one for one in adapters() if one.word and one.family == model.found.family]
    by_word = {one.word: one for one in suiting if one.id in ids}
    by_word = {one.word: one for one in suiting if _reads(model, one.width)} | by_word
    there = {word for text in texts for _, _, word in inversions.places(by_word, text)}
    further = [by_word[word] for word in sorted(there) if by_word[word].id not in ids]
    if not further:
        return values
    chosen = [entry for entry in chosen if entry["file"]]
    chosen += [{"file": one.value, "strength": 100.0} for one in further]
    if len(chosen) > MOST_WORN:
        raise VelaturaError(
            "bad-request",
            f"An edit has at most {MOST_WORN} adapters and words of their own, not {len(chosen)}; leave some"
            f" out: {', '.join(one.word for one in further):.200}.",
        )
    return {**values, KEY: chosen}


def _reads(model: ModelEntry, width: int) -> bool:
    """Whether a model's first text encoder has this width, as far as its files say."""
    own = recognition.width(model.found, "text_encoder") if model.found else 0
    return own in (0, width)


def texts(prompt: str, params: Parameters) -> list[str]:
    """The texts of an edit that the model reads."""
    return [prompt, *params.marked("x-source-prompt"), *params.marked("x-prompt")]


def named(worn: Sequence[Worn]) -> dict[str, Any]:
    """The adapters that a run wore, for its recipe; nothing without any."""
    listed = [{"title": one.title, "digest": one.digest, "strength": one.strength} for one in worn]
    return {"adapters": listed} if listed else {}


def remarks_on(worn: Sequence[Worn], texts: Sequence[str] = ()) -> list[str]:
    """Sentences for the person on adapters that the model could not use whole, and on words that none of
    the texts has."""
    partly = [
        f"Parts of the adapter {one.title!r} are for layers that this model lacks, and were left out."
        for one in worn
        if one.unread
    ]
    words = {one.word for one in worn if one.word}
    there = {word for text in texts for _, _, word in inversions.places(words, text)}
    return partly + [
        f"The word “{word}” changed nothing: write it into the prompt where it should act."
        for word in sorted(words - there)
    ]


def _form(form: Mapping[str, Any], adapters: Sequence[AdapterFile], left_out: int) -> dict[str, Any]:
    properties = dict(form["properties"])
    group: dict[str, Any] = properties.pop(KEY)
    if not adapters:
        return {**form, "properties": properties}
    several = len({one.family for one in adapters}) > 1
    titles = [_title(one, FAMILIES[one.family].title if several else "") for one in adapters]
    inner = dict(group["items"]["properties"])
    plain = {key: value for key, value in inner["file"].items() if key != "maxLength"}
    choices = {"enum": ["", *(one.value for one in adapters)], "x-enum-titles": [NOTHING, *titles]}
    inner["file"] = plain | choices
    if left_out:
        rest = (
            f"{left_out} more do not fit into the list; move files that you do not use out of your folders."
        )
        group = {**group, "description": f"{group['description']} {rest}"}
    properties[KEY] = {**group, "items": {**group["items"], "properties": inner}}
    return {**form, "properties": properties}


def _title(one: AdapterFile, family: str) -> str:
    """An adapter's title in a form, with the word that a prompt must have."""
    title = f"{one.title}: write {one.word}" if one.word else one.title
    return f"{title} ({family})" if family else title
