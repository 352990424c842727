"""What the person asks for, before there are pixels to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .velatura_protocol.catalogue import MethodInfo
from .velatura_protocol.requests import Edit


@dataclass(frozen=True)
class Wish:
    """What the docker's controls say when Run is pressed; whole: the layer, whatever is selected."""

    method: MethodInfo
    model: str
    prompt: str
    seed: int
    variations: int
    parameters: Mapping[str, object]
    whole: bool = False

    @property
    def about(self) -> str:
        """What tells it from others in one line: what it does, or, of a method of masks, what it selects."""
        if self.method.result != "mask":
            return self.method.about(self.prompt, self.parameters)
        listed = self.parameters.get(self.method.words.key, []) if self.method.words else []
        named = [text_of(entry) for entry in listed if entry.get("text", "").strip()]
        return f"Select: {', '.join(named)}" if named else f"{self.method.title}: {self.prompt}"

    @property
    def lacks_prompt(self) -> bool:
        return self.method.lacks_prompt(self.prompt)

    @property
    def edit(self) -> Edit:
        """The edit to send."""
        return self.method.edit(
            self.prompt,
            self.parameters,
            model=self.model,
            seed=self.seed,
            variations=self.variations,
        )


def text_of(entry: dict) -> str:
    """A word, with its number where it is not the first of its equals."""
    which = entry.get("which", 1)
    return entry["text"] if which == 1 else f"{entry['text']} ({which})"
