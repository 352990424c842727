"""Fields that name a kept dial: the daemon fills in which dials there are. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from velatura.generators.styles import STYLE
from velatura.models.catalogue import ModelEntry
from velatura.shelf.dial import Entry, checked_title
from velatura.shelf.listing import FOLDER, SHIPPED, Listing
from velatura.weights.digests import Digests, contents
from velatura_protocol.errors import VelaturaError

from .parameters import Parameters

if TYPE_CHECKING:
    from velatura.shelf.dial import Dial

    from .base import Context

MARK = "x-shelf"
"""Of a string in a group's entries: the id of a kept dial, or ''. Clients get an enum in its place."""

KEEP_AS = "keep_as"
"""The field in which a method is told the title under which it keeps its dial."""

NOTHING = "(choose a slider)"


class Choice(NamedTuple):
    """A dial that can be chosen. title: for the person, with its model where several have dials."""

    id: str
    title: str


def dial(title: str, description: str) -> Any:
    """The id of a kept dial, for a field `str` of a group's entries."""
    return Field("", max_length=40, title=title, description=description, json_schema_extra={MARK: True})


def keep_as() -> Any:
    """The title under which a method keeps the dial that it finds; '' keeps none. Its key is `KEEP_AS`."""
    return Field(
        "",
        max_length=60,
        title="Keep as a slider",
        description="A name, under which the change is kept for other layers. Empty: it is not kept.",
    )


def keep(context: Context, dial: Dial, *, guessed: bool = False) -> str:
    """Keeps a dial of a method and returns its title; the result's note says where it is not the wished one.

    Args:
        context: of the run.
        dial: with the title that the person wishes, or that was guessed.
        guessed: whether the title is a guess: a slider that does the same keeps the name it has then.

    Raises:
        VelaturaError: as `Shelf.keep`.
    """
    shelf = context.shelf
    same, wished = shelf.same(dial), checked_title(dial.title)
    if same is None:
        title = shelf.entry(shelf.keep(dial)).title
        if title != wished:
            context.remark(f"The slider is kept as “{title}”, for another one has its name.")
        return title
    if guessed or same.title == wished:
        return same.title
    shelf.rename(same.id, wished)
    title = shelf.entry(same.id).title
    if title != same.title:
        context.remark(f"The slider “{same.title}” does just this; it is called “{title}” now.")
    return title


def choices(state_dir: Path, models: Sequence[ModelEntry]) -> list[Choice]:
    """The dials of the models that are there, in the order of their titles.

    A dial whose model is not known is left out, unless the files of a model have not been read since they
    changed: it may be that one's.
    """
    styled = [model for model in models if model.generator == STYLE and not model.fault]
    if not styled:
        return []
    digests = Digests(state_dir / "digests.json")
    known = {digests.known(*contents(Path(model.path))): model.title for model in styled}
    folders = {Path(model.path, SHIPPED): model.title for model in styled}
    listed = Listing(state_dir / FOLDER, list(folders)).entries()

    def owner(entry: Entry) -> str | None:
        """The model's title; '' where it may be one that has not been read; None where it is none of them."""
        unread = "" if "" in known else None
        return folders.get(entry.path.parent) if entry.shipped else known.get(entry.generator, unread)

    owned = [(entry, title) for entry in listed if (title := owner(entry)) is not None]
    several = len({title for _, title in owned if title}) > 1
    return [Choice(e.id, f"{e.title} ({title})" if several and title else e.title) for e, title in owned]


def filled(methods: Iterable[dict[str, Any]], dials: Sequence[Choice]) -> list[dict[str, Any]]:
    """Methods as the protocol describes them, with the dials as choices of the fields that name one.

    Without a dial, the groups of such fields say which methods find one.
    """
    listed = list(methods)
    makers = [m["title"] for m in listed if KEEP_AS in m["parameters"]["properties"]]
    return [
        method
        if not _groups(method["parameters"])
        else {**method, "parameters": _form(method["parameters"], dials, makers)}
        for method in listed
    ]


def names_dials(form: Mapping[str, Any]) -> bool:
    """Whether a form has fields that name a dial."""
    return bool(_groups(form))


def check(params: Parameters, form: Mapping[str, Any], dials: Sequence[Choice]) -> None:
    """Raises `bad-request` where the parameters of a form name a dial that is not there."""
    there = {"", *(one.id for one in dials)}
    for key, names in _groups(form).items():
        for entry in getattr(params, key):
            if any(getattr(entry, name) not in there for name in names):
                raise VelaturaError(
                    "bad-request",
                    "A chosen slider is not kept any more, or its model is gone; choose another slider.",
                )


def _groups(form: Mapping[str, Any]) -> dict[str, list[str]]:
    """The groups of a form with such fields, and the keys of these."""
    groups: dict[str, list[str]] = {}
    for key, property in form["properties"].items():
        inner = property["items"]["properties"] if property["type"] == "array" else {}
        if names := [name for name, one in inner.items() if MARK in one]:
            groups[key] = names
    return groups


def _form(form: Mapping[str, Any], dials: Sequence[Choice], makers: Sequence[str]) -> dict[str, Any]:
    properties = dict(form["properties"])
    for key, names in _groups(form).items():
        group = dict(properties[key])
        inner = dict(group["items"]["properties"])
        for name in names:
            plain = {k: v for k, v in inner[name].items() if k not in (MARK, "maxLength")}
            titles = [NOTHING, *(one.title for one in dials)]
            inner[name] = plain | {"enum": ["", *(one.id for one in dials)], "x-enum-titles": titles}
        group["items"] = {**group["items"], "properties": inner}
        if not dials:
            group["description"] = _none_yet(makers)
        properties[key] = group
    return {**form, "properties": properties}


def _none_yet(makers: Sequence[str]) -> str:
    if not makers:
        return "No sliders are kept yet; get some with `velatura dials import FILE`."
    named = ", ".join(f"“{title}”" for title in makers)
    return f"No sliders are kept yet: run one of {named} and enter a name at “Keep as a slider”."
