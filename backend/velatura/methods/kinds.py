"""The kinds of result, one class each, with everything about a method that depends on its result.

A method names its kind in `Method.result`. A further kind is one more class: the broker, the worker and the
registry ask `KINDS` and know none of them by name. Importing this module imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
"""Every kind by its id in the protocol."""


class ResultKind(ABC):
    """A kind of result, and how it is made of a method's output. Defining a subclass registers it.

    Attributes:
        id: its name in the protocol.
        since: the protocol's MINOR from which clients know it; older clients are not offered it.
        stage: the activity of a run, for the person.
        variations: whether a request may have several.
        noun: the parts of one result, for the person.
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
        """Raises TypeError if a method's declaration does not fit this kind of result."""
        if method.max_variations != 1 and not self.variations:
            raise TypeError(f"{method.__name__}.max_variations has to be 1 where the result is {self.id!r}")

    def most_layers(self, form: dict[str, Any], request: Mapping[str, Any]) -> int:
        """The most layers that a result may have, each with a recipe.

        Args:
            form: the schema of the method's parameters.
            request: complete.
        """
        return 1

    @abstractmethod
    def make(self, work: Work) -> Sequence[ResultLayer | str]:
        """Runs the method and returns the results, in order.

        A draft shows the first layer as a preview and returns none. Raises `Cancelled`, and VelaturaError for
        a fault of the output.
        """


class Layers(ResultKind):
    """An edited picture a variation; several are ranked. `run` returns them, [N, 3 or 4, h, w]."""

    id = "layer"
    since = 0
    variations = True

    def most_layers(self, form: dict[str, Any], request: Mapping[str, Any]) -> int:
        """One a variation."""
        return request["variations"]

    def make(self, work: Work) -> Sequence[ResultLayer]:
        """See `ResultKind`. Each variation is pasted, scored and shown as soon as it is done."""
        layers: list[ResultLayer] = []
        judge, legend = work.judge() if len(work.seeds) > 1 else None, None
        for seeds, pictures in work.batches():
            if work.is_draft:
                work.show(pictures[0])
                return []
            pasted = work.paste(seeds, pictures)
            looks = work.looks(judge, len(pictures))
            legend = legend or work.legend()
            for seed, picture, one in zip(seeds, pictures, pasted, strict=True):
                index = len(layers)
                layer = work.layer_of(index, seed, picture, one, self.title)
                if legend:
                    layer = replace(layer, title=legend.title, note=legend.note)
                elif judge:
                    layer = replace(layer, scored=judge.read(one, work.opaque(picture), looks))
                layers.append(layer)
                if len(work.seeds) > 1:
                    work.arrived(layer)
        return layers if judge is None or legend else work.ranked(layers, judge, self.title)

    @staticmethod
    def title(index: int, seed: int, label: str = "") -> str:
        """A layer's name. The label stands before the seed: a narrow docker shows the beginning."""
        name = f"Variation {index + 1} · {label}" if label else f"Variation {index + 1}"
        return f"{name} (seed {seed})"


class Masks(ResultKind):
    """Selections of the source, all in one variation. `run` returns a list of `Mask`, in its own order."""

    id = "mask"
    since = 2
    noun = "words"

    def most_layers(self, form: dict[str, Any], request: Mapping[str, Any]) -> int:
        """One for each listed word, or for each word of the prompt if none is listed.

        A method without a list of words limits its masks itself.
        """
        groups = [f.key for f in fields_from_schema(form) if f.words]
        listed = [entry for key in groups for entry in named(request["parameters"][key])]
        most = max(1, len(listed or words(request["prompt"])))
        return most if groups else min(most, MAX_LAYERS)

    def make(self, work: Work) -> Sequence[ResultLayer]:
        """See `ResultKind`."""
        masks = work.output()
        if len(masks) > MAX_LAYERS:
            sentence = f"“{work.method.title}” found {len(masks)} parts, more than {MAX_LAYERS}; name fewer."
            raise VelaturaError("too-large", sentence)
        maps = [mask.map.float().nan_to_num(0.0).cpu().numpy() for mask in masks]
        if work.is_draft:
            work.show_mask(maps[0])
            return []
        titles = [one_line(mask.name, MAX_TITLE) for mask in masks]
        return work.masks(titles, maps)


class Texts(ResultKind):
    """Descriptions of the source, the likeliest first. `run` returns a list of strings."""

    id = "text"
    since = 3
    stage = "Looking"

    def check(self, method: type[Method]) -> None:
        """A method of texts takes the source alone, and has drafts, since a host asks it on its own."""
        super().check(method)
        inputs = method.inputs
        if (inputs.source, inputs.mask, inputs.prompt, inputs.rasters) != ("required", "none", "none", ()):
            raise TypeError(f"{method.__name__}.inputs has to be the source alone where the result is 'text'")
        if not method.drafts:
            raise TypeError(f"{method.__name__}.drafts has to be True where the result is 'text'")

    def make(self, work: Work) -> Sequence[str]:
        """Each text once, in one line; see `ResultKind`."""
        lines = map(one_line, work.output())
        return list(dict.fromkeys(line for line in lines if line))[:MAX_TEXTS]
