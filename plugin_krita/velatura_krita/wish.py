"""What the person asks for, before there are pixels to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .velatura_protocol.dials import about_edit
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.schema import Field, fields_from_schema


@dataclass(frozen=True)
class Wish:
    """What the docker's controls say when Run is pressed; whole: the layer, whatever is selected."""

    method: dict
    model: str
    prompt: str
    seed: int
    variations: int
    parameters: dict
    whole: bool = False

    @property
    def about(self) -> str:
        """What tells it from others in one line: what it does, or, of a method of masks, what it selects."""
        if self.method.get("result", "layer") != "mask":
            return about_edit(fields_of(self.method), self.prompt, self.parameters)
        listed = self.parameters.get(key_of(self.method, "words") or "", [])
        named = [text_of(entry) for entry in listed if entry.get("text", "").strip()]
        return f"Select: {', '.join(named)}" if named else f"{self.method['title']}: {self.prompt}"

    @property
    def lacks_prompt(self) -> bool:
        return self.method["inputs"].get("prompt") == "required" and not self.prompt.strip()

    def request(self, canvas: Sequence[int]) -> dict:
        """The request of SPEC section 5, less its inputs; canvas: width and height of the document."""
        return {
            "velatura": 1,
            "method": self.method["id"],
            "method_version": self.method["version"],
            "model": {"id": self.model, "digest": ""},
            "prompt": self.prompt,
            "seed": self.seed,
            "variations": self.variations,
            "parameters": self.parameters,
            "canvas": list(canvas),
        }


def finder(methods: Sequence[dict]) -> tuple[dict, str] | None:
    """The method that finds the words of a prompt in a layer, and the key of its group of words."""
    for method in methods:
        if method.get("result", "layer") == "mask" and (key := key_of(method, "words")) is not None:
            return method, key
    return None


def choosable(methods: Sequence[dict]) -> list[dict]:
    """The methods that an artist chooses from."""
    return [method for method in methods if method.get("result") != "text"]


def proposer(methods: Sequence[dict]) -> dict | None:
    """The method that says what a layer shows."""
    return next((method for method in methods if method.get("result") == "text"), None)


def first_edit(methods: Sequence[dict]) -> dict | None:
    """The method that a person begins with (SPEC section 4)."""
    return next((method for method in methods if method.get("result", "layer") == "layer"), None)


def dialler(methods: Sequence[dict]) -> dict | None:
    """The first method that edits by dials."""
    edits = (method for method in methods if method.get("result", "layer") == "layer")
    return next((method for method in edits if key_of(method, "dials") is not None), None)


def fields_of(method: dict) -> list[Field]:
    """The fields of the method's form; none where they cannot be read."""
    try:
        return fields_from_schema(method["parameters"])
    except VelaturaError:
        return []


def key_of(method: dict, mark: str) -> str | None:
    """The key of the method's field that is marked as `words`, `source_prompt` or `dials`."""
    return next((field.key for field in fields_of(method) if getattr(field, mark)), None)


def text_of(entry: dict) -> str:
    """A word, with its number where it is not the first of its equals."""
    which = entry.get("which", 1)
    return entry["text"] if which == 1 else f"{entry['text']} ({which})"
