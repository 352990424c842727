"""Presets of whole settings: a method, its prompt and its form, under a name, for every host.

A preset holds nothing of a picture: no layer, no selection and no caption. A shared file is not trusted:
reading it gives settings that fit the form of the method here, or one sentence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import sights
from .catalogue import Catalogue, MethodInfo
from .errors import VelaturaError
from .named_files import MAX_NAME, SUFFIX, Kind, NamedFiles, checked_name, is_plain
from .reading import as_integer, as_list, as_object, text_of
from .requests import MAX_PROMPT, MAX_SEED
from .schema import Field

__all__ = ["KIND", "MAX_NAME", "SUFFIX", "Loaded", "Settings", "SettingsPresets", "export_to"]

KIND = Kind("settings", "settings", dict)
KEPT, DELETED, EXPORTED = KIND.kept, KIND.deleted, KIND.exported


@dataclass(frozen=True)
class Settings:
    """The settings of a form.

    Attributes:
        method: an id.
        prompt: at most `MAX_PROMPT` characters.
        seed: -1 for a new one each time.
        variations: 1 up to the method's most.
        model: the id of the person's own model; '' for the default.
        sees: a key of `sights.TITLES`.
        parameters: values of the form by key. A form keeps its own value where a key is missing.
    """

    method: str
    prompt: str = ""
    seed: int = -1
    variations: int = 1
    model: str = ""
    sees: str = sights.LAYER
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class Loaded:
    """A preset as it is here. note: a sentence on the values that do not fit, or ''."""

    name: str
    settings: Settings
    note: str = ""


class SettingsPresets:
    """The presets of settings in a state directory, one small file each, for all methods and all hosts."""

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self.files = NamedFiles(state_dir, KIND)

    def names(self) -> list[str]:
        """The names in alphabetical order. Damaged files are skipped."""
        return self.files.names()

    def same(self, name: str, other: str) -> bool:
        """Whether one of these names would take the other's place."""
        return self.files.same(name, other)

    def save(self, name: str, settings: Settings, method: MethodInfo) -> str:
        """Keeps the settings under that name, in place of earlier ones; returns the name.

        Raises `bad-request` for an invalid name, for too many presets, and where nothing can be written.
        """
        return self.files.write(name, _written(settings, method))

    def load(self, name: str, known: Catalogue) -> Loaded:
        """The settings of that name. Raises `bad-request` where they are gone, or their method is not known
        here."""
        return _read(*self.files.read(name), known)

    def delete(self, name: str) -> None:
        """Deletes the preset; no-op where there is none. Raises `bad-request`."""
        self.files.delete(name)

    def add_from(self, path: str | os.PathLike[str], known: Catalogue) -> Loaded:
        """Keeps a shared file's settings under its name, with a number behind it where others have it.

        The kept file has all values of the shared one: a newer method may take those that do not fit here.
        Raises `bad-request` as `load` and `save`.
        """
        name, contents = KIND.read(Path(path))
        loaded = _read(name, contents, known)
        return Loaded(self.files.add(name, contents), loaded.settings, loaded.note)


def export_to(path: str | os.PathLike[str], name: str, settings: Settings, method: MethodInfo) -> None:
    """Writes the settings to a file for others, atomically. Raises `bad-request`."""
    KIND.write(Path(path), checked_name(name), _written(settings, method))


def _written(settings: Settings, method: MethodInfo) -> dict[str, object]:
    values = settings.parameters
    return {
        "method": method.id,
        "title": method.title,
        "prompt": settings.prompt,
        "seed": settings.seed,
        "variations": settings.variations,
        "model": settings.model,
        "sees": settings.sees,
        "parameters": {
            spec.key: _bare(spec, values[spec.key]) for spec in _own(method) if spec.key in values
        },
    }


def _own(method: MethodInfo) -> list[Field]:
    """The fields of a form that belong to no picture."""
    return [spec for spec in method.form if spec.kind != "raster" and not spec.source_prompt]


def _bare(spec: Field, value: object) -> object:
    """A field's value without layers."""
    rasters = dict.fromkeys(inner.key for inner in spec.fields if inner.kind == "raster")
    entries = as_list(value)
    if not rasters or entries is None:
        return value
    return [{**entry, **rasters} if (entry := as_object(one)) is not None else one for one in entries]


def _read(name: str, contents: object, known: Catalogue) -> Loaded:
    """Raises `bad-request`."""
    d = as_object(contents) or {}
    method = known.method(text_of(d, "method"))
    if not all(map(is_plain, (" ".join(text.split()) for text in _texts(d)))):
        raise VelaturaError("bad-request", f"The settings '{name}' have characters that cannot be shown.")
    if method is None:
        title = text_of(d, "title")[:MAX_NAME] or "a method"
        raise VelaturaError(
            "bad-request",
            f"The settings '{name}' are for “{title}”, which is not here; update Velatura, or choose others.",
        )
    parameters, notes = _fitting(method, as_object(d.get("parameters")) or {})
    seed, variations = as_integer(d.get("seed"), -1, MAX_SEED), d.get("variations")
    if (count := as_integer(variations, 1, method.max_variations)) is None:
        notes.append(f"There can be {method.max_variations} variations and no more.")
    model = text_of(d, "model")
    if model and known.model(model) is None:
        model = ""
        notes.append("Its model is not here; choose one.")
    settings = Settings(
        method=method.id,
        prompt=text_of(d, "prompt")[:MAX_PROMPT],
        seed=-1 if seed is None else seed,
        variations=method.max_variations if count is None else count,
        model=model,
        sees=sights.known(d.get("sees")),
        parameters=parameters,
    )
    return Loaded(name, settings, " ".join(notes))


def _fitting(method: MethodInfo, values: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """The values of the form, and sentences on those that are lost."""
    checked = [(spec, *_checked(spec, values.get(spec.key, spec.default))) for spec in _own(method)]
    parameters = {spec.key: value for spec, value, _ in checked}
    unfit = [f"“{spec.title}”" for spec, _, fits in checked if not fits]
    notes: list[str] = []
    if unfit:
        notes.append(f"The value of {', '.join(unfit)} does not fit here; the usual one stands there.")
    if values.keys() - {spec.key for spec in method.form}:
        notes.append("Some of its settings are not known here; update Velatura.")
    return parameters, notes


def _checked(spec: Field, value: object) -> tuple[object, bool]:
    """The value as the field has it, or the field's default; and whether the value fits."""
    try:
        return spec.check(_bare(spec, value)), True
    except VelaturaError:
        return spec.default, False


def _texts(value: object) -> Iterator[str]:
    """All texts in a JSON value."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        left += as_list(one) or (as_object(one) or {}).values()
