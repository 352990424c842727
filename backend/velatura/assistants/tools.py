"""A tool for each method, with its schema; the arguments of a call become an edit, its result files.

Nothing here knows the Model Context Protocol's library; `velatura.assistants.server` does.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from velatura.assistants.folders import Folders
from velatura.client.jobs import Job
from velatura.client.results import Result
from velatura.client.session import Session
from velatura.files.recipes import read_recipes
from velatura.files.writing import NAMES
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import MAX_SEED

SHOW = "show-recipe"
MODELS = "list-models"
THUMBNAIL = 384  # pixels of the longer side
_PATH = "a path in one of the folders that you may use"


@dataclass(frozen=True)
class Tool:
    """What an assistant is told about a tool. schema: JSON schema of its arguments."""

    name: str
    title: str
    description: str
    schema: dict[str, Any]
    reads_only: bool = False


@dataclass(frozen=True)
class Answer:
    """The answer to a call.

    Args:
        text: for the assistant.
        facts: the same as JSON.
        thumbnail: a PNG of the best result, or b"".
    """

    text: str
    facts: dict[str, Any]
    thumbnail: bytes = b""


class Tools:
    """The tools of one session with the daemon.

    Args:
        session: with the daemon.
        folders: in which files are read and written.
    """

    def __init__(self, session: Session, folders: Folders) -> None:
        self._session, self._folders = session, folders
        self._simple: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
            MODELS: self._models,
            SHOW: self._show,
        }

    def listed(self) -> Iterator[Tool]:
        """Every tool: one for each method, then those that only tell."""
        for method in self._session.methods:
            yield self._tool(method)
        yield Tool(MODELS, "List the models", "The models that edits can use.", _object({}), reads_only=True)
        path = {"file": {"type": "string", "description": f"A result, {_PATH}."}}
        about = "How a result was made: method, model, prompt, seed and settings."
        yield Tool(SHOW, "Show a recipe", about, _object(path, "file"), reads_only=True)

    def told(self, name: str, arguments: Mapping[str, Any]) -> Answer | None:
        """The answer of a tool that only tells; None for another tool. Raises VelaturaError."""
        simple = self._simple.get(name)
        return None if simple is None else simple(arguments)

    def begin(self, name: str, arguments: Mapping[str, Any]) -> tuple[Job, Path | None]:
        """The running edit of a call and the file for its result, which is None where that is text.

        Raises VelaturaError before any work: `unknown-method`, `bad-request` and what `Session.start` raises.
        """
        method = self._session.method(name)
        known = self._tool(method).schema
        for key in arguments:
            if key not in known["properties"]:
                raise VelaturaError("bad-request", f"{name} has no argument {key!r:.60}; leave it out.")
        for key in known["required"]:
            if key not in arguments:
                raise VelaturaError("bad-request", f"{name} needs the argument {key}; give it.")
        out = self._folders.writing(_text(arguments, "out")) if "out" in known["required"] else None
        settings = arguments.get("settings", {})
        if not isinstance(settings, Mapping):
            raise VelaturaError("bad-request", "The settings are no object; give values by key.")
        mask = _text(arguments, "mask")
        job = self._session.start(
            self._folders.reading(_text(arguments, "picture")),
            _text(arguments, "prompt"),
            mask=self._folders.reading(mask) if mask else None,
            method=method.id,
            model=_text(arguments, "model"),
            seed=_integer(arguments, "seed", -1, MAX_SEED, -1),
            variations=_integer(arguments, "variations", 1, method.max_variations, 1),
            settings=self._within(method, settings),
            pictures={
                raster.name: self._folders.reading(_text(arguments, raster.name))
                for raster in method.further
                if raster.name in arguments
            },
            out=out,
        )
        return job, out

    def end(self, result: Result, out: Path | None) -> Answer:
        """Writes the result's files and tells about it. Raises OSError."""
        facts: dict[str, Any] = {"title": result.title, "seconds": result.seconds, "note": result.note}
        if out is None:
            return Answer("\n".join(result.texts), {**facts, "texts": list(result.texts)})
        files = [str(path) for path in result.save(out)]
        layers = [
            {
                "title": layer.title,
                "score": layer.score,
                "why": layer.why,
                "seed": layer.recipe.get("seed"),
                "place": [layer.x, layer.y, layer.pixels.shape[1], layer.pixels.shape[0]],
            }
            for layer in result.layers
        ]
        lines = [f"{', '.join(files)}: {result.title}, in {result.seconds:.1f} s."]
        lines += [str(layer["title"]) for layer in layers]
        lines += [result.note] if result.note else []
        thumbnail = _thumbnail(result.shown()) if result.layers else b""
        return Answer("\n".join(lines), {**facts, "files": files, "layers": layers}, thumbnail)

    def _tool(self, method: MethodInfo) -> Tool:
        properties: dict[str, Any] = {
            "picture": {"type": "string", "description": f"The picture: {_PATH}."},
            "seed": {
                "type": "integer",
                "minimum": -1,
                "maximum": MAX_SEED,
                "description": "The same seed gives the same result; -1 for any.",
            },
            "model": {"type": "string", "description": f"A model's id, see {MODELS}; left out: the default."},
            "settings": self._session.schema(method.id),
        }
        required = ["picture"]
        for name, text in (
            ("mask", f"Where to edit, white is edited: a picture of the same size, {_PATH}."),
            ("prompt", "What the result shows, as a caption of the whole picture."),
        ):
            if method.need(name) != "none":
                properties[name] = {"type": "string", "description": text}
            if method.need(name) == "required":
                required.append(name)
        for raster in method.further:
            about = f"{raster.title}. {raster.description} A picture, {_PATH}."
            properties[raster.name] = {"type": "string", "description": about}
            if raster.need == "required":
                required.append(raster.name)
        if method.kind.insert != "texts":
            about = f"A new file for the result, {_PATH}: {NAMES}; in .ora and .psd each is a layer."
            properties["out"] = {"type": "string", "description": about}
            properties["variations"] = {
                "type": "integer",
                "minimum": 1,
                "maximum": method.max_variations,
                "description": "The number of results; the best is told.",
            }
            required.append("out")
        about = f"{method.summary} The artist's picture is never changed: the result is a new file."
        return Tool(method.id, method.title, about, _object(properties, *required))

    def _within(self, method: MethodInfo, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings with the files of their entries as paths within the folders."""
        groups = {field.key: field.fields for field in method.fields if field.kind == "group"}
        found = dict(settings)
        for key, fields in groups.items():
            rasters = {field.key for field in fields if field.kind == "raster"}
            entries = found.get(key)
            if not rasters or not isinstance(entries, list):
                continue
            found[key] = [
                {
                    name: self._folders.reading(value)
                    if name in rasters and isinstance(value, str)
                    else value
                    for name, value in entry.items()
                }
                if isinstance(entry, Mapping)
                else entry
                for entry in entries
            ]
        return found

    def _models(self, arguments: Mapping[str, Any]) -> Answer:
        models = [{"id": model.id, "title": model.title} for model in self._session.models]
        return Answer("\n".join(f"{model['id']}: {model['title']}" for model in models), {"models": models})

    def _show(self, arguments: Mapping[str, Any]) -> Answer:
        layers = read_recipes(self._folders.reading(_text(arguments, "file")))
        facts = [{"title": made.title, "digest": made.digest, "recipe": made.recipe} for made in layers]
        return Answer("\n".join(made.title or made.name for made in layers), {"layers": facts})


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _text(arguments: Mapping[str, Any], key: str) -> str:
    value = arguments.get(key, "")
    if not isinstance(value, str):
        raise VelaturaError("bad-request", f"The argument {key} has to be text.")
    return value


def _integer(arguments: Mapping[str, Any], key: str, low: int, high: int, default: int) -> int:
    value = arguments.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise VelaturaError(
            "bad-request", f"The argument {key} has to be a whole number from {low} to {high}."
        )
    return value


def _thumbnail(pixels: np.ndarray) -> bytes:
    """A small PNG of a picture, uint8 sRGB [height, width, 3]."""
    picture = Pillow.fromarray(pixels)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
