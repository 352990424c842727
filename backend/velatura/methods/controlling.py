"""The groups "Guides" and "Looks like" of every method that uses a diffusion model. Imports no torch.

A guide is a ControlNet with a layer that leads it, a look an IP-Adapter with a layer to look like. The daemon
fills in which there are; where there are none, clients get no such group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field

from velatura.models.catalogue import ModelEntry
from velatura.models.control import refusals
from velatura.models.control.kinds import KINDS, KindName, kind_of, number
from velatura.models.control.listing import CONTROL, LOOK, GuideFile, Kind, Listed
from velatura.models.recognition import FAMILIES
from velatura_protocol.errors import VelaturaError

from .parameters import Parameters, with_group

GUIDES, LOOKS = "guides", "image_prompts"
"""The groups' keys in the parameters of a method."""
MOST = 4  # guides, and looks, of one edit
_GROUPS: Mapping[str, Kind] = {GUIDES: CONTROL, LOOKS: LOOK}
NOTHING = {GUIDES: "(choose a guide)", LOOKS: "(choose what reads looks)"}
AUTO = "auto"


def _file(title: str, description: str) -> Any:
    return Field("", max_length=160, title=title, description=description)


def _strength(default: float, description: str) -> Any:
    extra: dict[str, Any] = {"multipleOf": 5.0}
    return Field(
        default, ge=0.0, le=200.0, title="How much", description=description, json_schema_extra=extra
    )


def _part(default: float, title: str, description: str) -> Any:
    extra: dict[str, Any] = {"multipleOf": 5.0}
    return Field(default, ge=0.0, le=100.0, title=title, description=description, json_schema_extra=extra)


def _begin() -> Any:
    return _part(0.0, "From", "When it begins, in per cent of the run; the large shapes form first.")


def _end() -> Any:
    return _part(100.0, "Until", "When it ends, in per cent of the run; the details form last.")


def _picture(kind: str, title: str, description: str) -> Any:
    return Field(None, title=title, description=description, json_schema_extra={"x-raster": kind})


class GuideSettings(Parameters):
    """An entry of `GUIDES`. file: `GuideFile.value`, or '' for none yet."""

    file: str = _file("Guide", "A file that makes the picture follow a layer (ControlNet).")
    picture: str | None = _picture(
        "picture", "Layer", "The layer that leads; without one it is the layer that is edited."
    )
    kind: Literal[
        "auto", "edges", "scribble", "lines", "depth", "pose", "normals", "areas", "colours", "grey"
    ] = Field(
        AUTO,
        title="Follows",
        description="What the picture follows of the layer.",
        json_schema_extra={
            "x-enum-titles": ["What the guide is for", *(kind.title for kind in KINDS.values())]
        },
    )
    is_map: bool = Field(
        False,
        title="Is a map",
        description="The layer shows nothing else already: drawn edges, a depth picture, a stick figure. "
        "Otherwise it is read from the layer.",
    )
    strength: float = _strength(100.0, "In per cent of its own strength; at 0 it does nothing.")
    begin: float = _begin()
    end: float = _end()


class LookSettings(Parameters):
    """An entry of `LOOKS`. file: `GuideFile.value`, or '' for none yet."""

    file: str = _file("Read by", "A file that makes the picture look like a layer (IP-Adapter).")
    picture: str | None = _picture(
        "reference", "Looks like", "The layer to look like; without one it is the layer that is edited."
    )
    strength: float = _strength(60.0, "In per cent; the more, the less the words count.")
    begin: float = _begin()
    end: float = _end()


class Chosen(NamedTuple):
    """A guide of a request, as `wanted` has checked it.

    Args:
        file: of the guide.
        settings: of the request.
        kind: of the map; None for a look.
        number: see `kinds.number`.
    """

    file: GuideFile
    settings: GuideSettings | LookSettings
    kind: KindName | None = None
    number: int = -1

    @property
    def is_map(self) -> bool:
        """Whether its layer already is a map."""
        return isinstance(self.settings, GuideSettings) and self.settings.is_map


def with_guides(parameters: type[Parameters]) -> type[Parameters]:
    """The class of parameters with both groups. Raises TypeError if it has other fields of these keys."""
    guides = _group("Guides", "Layers whose lines, depth or pose the picture follows.", 96)
    looks = _group("Looks like", "Layers that the picture looks like.", 97)
    guided = with_group(parameters, GUIDES, GuideSettings, guides)
    return with_group(guided, LOOKS, LookSettings, looks)


def _group(title: str, description: str, order: int) -> Any:
    extra: dict[str, Any] = {"x-order": order, "x-advanced": True}
    return Field([], max_length=MOST, title=title, description=description, json_schema_extra=extra)


def filled(methods: Iterable[dict[str, Any]], guides: Sequence[GuideFile]) -> list[dict[str, Any]]:
    """Methods as the protocol describes them, with the guides as choices; without guides of a kind, without
    its group."""
    return [{**method, "parameters": _form(method["parameters"], guides)} for method in methods]


def suiting(guides: Sequence[GuideFile], models: Sequence[ModelEntry]) -> list[GuideFile]:
    """The guides that were made for the family of one of the models."""
    families = {model.found.family for model in models if model.found and not model.fault}
    return [one for one in guides if one.family in families]


def without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Parameters without empty groups: their recipe is one of a daemon that knows no guides."""
    return {key: value for key, value in values.items() if key not in _GROUPS or value != []}


def wanted(params: Parameters, model: ModelEntry, listed: Listed) -> list[Chosen]:
    """The guides and looks that parameters name, without those at 0.

    Raises:
        VelaturaError: `bad-request` for one that is not there, or whose file has changed, and for a kind that
            its guide does not take or that is not read from pictures; `unknown-model` for one of another
            family than the model's, where nothing reads depth or edges, and for a look without its encoder.
    """
    chosen: list[Chosen] = []
    for key, kind in _GROUPS.items():
        for one in getattr(params, key, []):
            id, _, title = one.file.partition(":")
            if not id:
                continue
            file = next((file for file in listed.guides if file.id == id and file.kind == kind), None)
            if file is None:
                raise VelaturaError(
                    "bad-request",
                    f"The guide {title or id!r} is not on this computer, or its file has changed; put the "
                    "file back and run `velatura models find`, or leave it out.",
                )
            _check_family(file, model)
            if one.begin >= one.end:
                raise VelaturaError(
                    "bad-request", f"The guide {file.title!r} ends before it begins; move “From” or “Until”."
                )
            if one.strength and kind == LOOK and file.encoder is None:
                raise refusals.without_encoder(file)
            if one.strength:
                chosen.append(_led(file, one, listed) if kind == CONTROL else Chosen(file, one))
    return chosen


def _check_family(file: GuideFile, model: ModelEntry) -> None:
    family = model.found.family if model.found else ""
    if file.family != family:
        raise VelaturaError(
            "unknown-model",
            f"The guide {file.title!r} is for {FAMILIES[file.family].title}, and {model.title!r} is"
            f" {FAMILIES[family].title if family else 'another model'}; choose a model that it suits.",
        )


def _led(file: GuideFile, settings: GuideSettings, listed: Listed) -> Chosen:
    kind: KindName = kind_of(file.title) if settings.kind == AUTO else settings.kind
    found = number(file, kind)
    if found is None:
        raise VelaturaError(
            "bad-request",
            f"The guide {file.title!r} does not follow “{KINDS[kind].title.lower()}”; choose another "
            "kind, or another guide.",
        )
    if not settings.is_map:
        if KINDS[kind].reader is None:
            raise refusals.unreadable(kind)
        if KINDS[kind].reader == "depth" and listed.depth is None:
            raise refusals.without_depth()
        if KINDS[kind].reader == "edges" and not refusals.finds_edges():
            raise refusals.without_edges()
    return Chosen(file, settings, kind, found)


def unseeing(params: Parameters, prompt: str) -> set[str]:
    """The texts whose rows see no look: those that are led away from, and captions of the layer as it is."""
    negative = str(getattr(params, "negative_prompt", "")).strip()
    texts = {"", negative, *(str(text).strip() for text in params.marked("x-source-prompt"))}
    return texts - {prompt}


def _form(form: Mapping[str, Any], guides: Sequence[GuideFile]) -> dict[str, Any]:
    properties = dict(form["properties"])
    for key, kind in _GROUPS.items():
        group = properties.pop(key, None)
        here = [one for one in guides if one.kind == kind]
        if group is None or not here:
            continue
        several = len({one.family for one in here}) > 1
        titles = [f"{one.title} ({FAMILIES[one.family].title})" if several else one.title for one in here]
        inner = dict(group["items"]["properties"])
        plain = {name: value for name, value in inner["file"].items() if name != "maxLength"}
        choices = {"enum": ["", *(one.value for one in here)], "x-enum-titles": [NOTHING[key], *titles]}
        inner["file"] = plain | choices
        properties[key] = {**group, "items": {**group["items"], "properties": inner}}
    return {**form, "properties": properties}
