"""The kinds of result, one class each: everything about a method that depends on what it makes.

A method names its kind in `Method.result`. A further kind is one more class: the broker, the worker and the
registry ask `KINDS` and know none of them by name. Importing this module imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from velatura_protocol.errors import VelaturaError
from velatura_protocol.results import MAX_LAYERS, MAX_TEXTS, MAX_TITLE, one_line
from velatura_protocol.schema import fields_from_schema
from velatura_protocol.words import named, words

if TYPE_CHECKING:
    from .base import Method
    from .results import ResultLayer
    from .work import Work

KINDS: dict[str, ResultKind] = {}
"""Every kind by its id, which is what the protocol calls it."""


class ResultKind(ABC):
    """What a method makes, and how it becomes what goes back. Defining a subclass registers it.

    id: what the protocol calls it. since: the protocol's MINOR from which clients know it; it is kept from
    older ones. stage: what a run is doing, for the person. variations: whether there may be several. noun:
    what one result has several of, for the person.
    """

    id: ClassVar[str]
    since: ClassVar[int]
    stage: ClassVar[str] = "Editing"
    variations: ClassVar[bool] = False
    noun: ClassVar[str] = "variations"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        KINDS[cls.id] = cls()

    def check(self, method: type[Method]) -> None:
        """Raises TypeError where a method cannot make this kind of result as it is declared."""
        if method.max_variations != 1 and not self.variations:
            raise TypeError(f"{method.__name__}.max_variations has to be 1 where the result is {self.id!r}")

    def most_layers(self, form: dict, request: Mapping[str, Any]) -> int:
        """How many layers a result may have, each with a recipe.

        Args:
            form: the schema of the method's parameters.
            request: complete.
        """
        return 1

    @abstractmethod
    def make(self, work: Work) -> Sequence[ResultLayer | str]:
        """Runs the method and gives what goes back, in order; of a draft, it shows the first as a preview
        and gives no layers. Raises `Cancelled`, and VelaturaError for what is wrong with the output."""


class Layers(ResultKind):
    """An edited picture a variation; several are ranked. `run` gives them, [N, 3, h, w] in [-1, 1]."""

    id = "layer"
    since = 0
    variations = True

    def most_layers(self, form: dict, request: Mapping[str, Any]) -> int:
        """One a variation."""
        return request["variations"]

    def make(self, work: Work) -> Sequence[ResultLayer]:
        """See `ResultKind`."""
        pictures = work.pictures()
        if work.is_draft:
            work.show(pictures[0])
            return []
        layers = work.paste(pictures, self.title)
        return work.rank(layers, pictures, self.title) if len(layers) > 1 else layers

    @staticmethod
    def title(index: int, seed: int, label: str = "") -> str:
        """A layer's name. The label stands before the seed: the beginning survives in a narrow docker."""
        name = f"Variation {index + 1} · {label}" if label else f"Variation {index + 1}"
        return f"{name} (seed {seed})"


class Masks(ResultKind):
    """Selections of the source, all in one variation, in the method's order. `run` gives a list of `Mask`."""

    id = "mask"
    since = 2
    noun = "words"

    def most_layers(self, form: dict, request: Mapping[str, Any]) -> int:
        """One for each word that is listed, or else of the prompt. A method without a list of words counts
        by itself."""
        groups = [f.key for f in fields_from_schema(form) if f.words]
        listed = [entry for key in groups for entry in named(request["parameters"][key])]
        found = max(1, len(listed or words(request["prompt"])))
        return found if groups else min(found, MAX_LAYERS)

    def make(self, work: Work) -> Sequence[ResultLayer]:
        """See `ResultKind`."""
        masks = work.output()
        if len(masks) > MAX_LAYERS:
            found = f"{work.method.title} found {len(masks)} parts"
            raise VelaturaError("too-large", f"{found}, more than {MAX_LAYERS} at once; name fewer.")
        maps = [mask.map.float().nan_to_num(0.0).cpu().numpy() for mask in masks]
        if work.is_draft:
            work.show_mask(maps[0])
            return []
        titles = [one_line(mask.name, MAX_TITLE) for mask in masks]
        return work.masks(titles, maps)


class Texts(ResultKind):
    """What can be said about the source, the likeliest first. `run` gives a list of strings."""

    id = "text"
    since = 3
    stage = "Looking"

    def check(self, method: type[Method]) -> None:
        """A method of texts is given the source alone, and gives drafts, since a host asks it unasked."""
        super().check(method)
        inputs = method.inputs
        if (inputs.source, inputs.mask, inputs.prompt, inputs.rasters) != ("required", "none", "none", ()):
            raise TypeError(f"{method.__name__}.inputs has to be the source alone where the result is 'text'")
        if not method.drafts:
            raise TypeError(f"{method.__name__}.drafts has to be True where the result is 'text'")

    def make(self, work: Work) -> Sequence[str]:
        """Each text once and as the protocol wants it; see `ResultKind`."""
        lines = map(one_line, work.output())
        return list(dict.fromkeys(line for line in lines if line))[:MAX_TEXTS]
