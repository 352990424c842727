"""The person's request, before its pixels are captured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .capture import Further
from .rasters import capture_rasters
from .velatura_protocol.catalogue import MethodInfo
from .velatura_protocol.choices import Wanted, resolve
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.history_entries import Key, Relation
from .velatura_protocol.requests import Edit
from .velatura_protocol.sights import LAYER


@dataclass(frozen=True)
class Wish:
    """The values of the docker's controls when Run is pressed. whole: the whole layer instead of the
    selection. parameters: the form's values, with the choice for each raster.
    """

    method: MethodInfo
    model: str
    prompt: str
    seed: int
    variations: int
    parameters: Mapping[str, object]
    whole: bool = False
    sees: str = LAYER  #: one of `sights.TITLES`
    around: tuple[object, ...] = ()  #: the entries of the method's group `around`
    parent: Key | None = None  #: the result in the history that this comes of
    relation: Relation = ""  #: how it comes of that one

    @property
    def about(self) -> str:
        """A description in one line: the edit, or for a method of masks the things that it selects."""
        if self.method.kind.insert != "selections":
            return self.method.about(self.prompt, self.parameters)
        listed = self.parameters.get(self.method.words.key, []) if self.method.words else []
        named = [text_of(entry) for entry in listed if entry.get("text", "").strip()]
        return f"Select: {', '.join(named)}" if named else f"{self.method.title}: {self.prompt}"

    @property
    def lacks_prompt(self) -> bool:
        return self.method.lacks_prompt(self.prompt)

    @property
    def is_unfinished(self) -> bool:
        """Whether a text or a choice that it requires is missing."""
        if self.lacks_prompt:
            return True
        try:
            resolve(self.method.title, self.method.form, self.parameters)
        except VelaturaError:
            return True
        return False

    @property
    def wanted(self) -> list[Wanted]:
        """The rasters to read for it beside the layer and the selection; raises as `choices.resolve`."""
        return resolve(self.method.title, self.method.form, self.parameters)[1]

    @property
    def further(self) -> Further:
        """The reader of the further rasters."""
        wanted = self.wanted
        return lambda document, canvas: capture_rasters(document, wanted, canvas)

    @property
    def edit(self) -> Edit:
        """The edit to send; raises as `choices.resolve`."""
        edit = self.method.edit(
            self.prompt,
            resolve(self.method.title, self.method.form, self.parameters)[0],
            model=self.model,
            seed=self.seed,
            variations=self.variations,
        )
        group = self.method.around
        if not self.around or group is None:
            return edit
        return replace(edit, parameters={**edit.parameters, group.key: list(self.around)})


def text_of(entry: dict) -> str:
    """A word, with its number where it is not the first of equal words."""
    which = entry.get("which", 1)
    return entry["text"] if which == 1 else f"{entry['text']} ({which})"
