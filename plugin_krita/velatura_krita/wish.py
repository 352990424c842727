"""What the person asks for, before there are pixels to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.schema import fields_from_schema


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
        if method.get("result", "layer") == "mask":
            try:
                fields = fields_from_schema(method["parameters"])
            except VelaturaError:
                continue
            for field in fields:
                if field.words:
                    return method, field.key
    return None
