"""A method: a typed parameter class, the inputs it needs, and `run`.

A method is one file of this package. Importing it imports no torch, because the broker and the command line
read its form.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    TypeVar,
)

from velatura.generators.kinds import suits
from velatura.generators.protocol import DIFFUSION
from velatura_protocol.inputs import RasterInput

from .adapting import with_adapters
from .around import with_around
from .controlling import with_guides
from .declaring import check_declared
from .parameters import Parameters, schema
from .sections import SectionName

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.cache.cache import Cache
    from velatura.companions.blip import Captioner
    from velatura.companions.clip import Encoder
    from velatura.companions.identity import Identity
    from velatura.companions.landmarks import Landmarks
    from velatura.companions.segmenter import Segmenter
    from velatura.diffusion.network import LatentDiffusion
    from velatura.generators.protocol import Generator
    from velatura.shelf import Shelf

Need = Literal["required", "optional", "none"]
Compared = Literal["reconstruction", "layer", "nothing"]
_Value = TypeVar("_Value")


class Cancelled(Exception):
    """The person has cancelled the job, or its client has vanished. Raised by `Context.step`."""


@dataclass(frozen=True)
class Inputs:
    """The inputs that a method needs.

    Args:
        source: the layer.
        mask: the selection; without an optional one the whole layer is edited.
        prompt: the text.
        rasters: further ones, such as a painted segmentation, a scribble or a reference. A group's entries
            may have rasters too (`fields.raster`).
    """

    source: Need = "required"
    mask: Need = "optional"
    prompt: Need = "required"
    rasters: tuple[RasterInput, ...] = ()

    def all_rasters(self) -> list[RasterInput]:
        """Every raster that the method takes, the layer and the selection first."""
        own: list[RasterInput] = []
        if self.source != "none":
            own.append(RasterInput("source", "Layer", "The layer that is edited.", "picture", self.source))
        if self.mask != "none":
            own.append(
                RasterInput("mask", "Selection", "Where it is edited; white is edited.", "mask", self.mask)
            )
        return [*own, *self.rasters]


@dataclass(frozen=True)
class MethodInputs:
    """The inputs of a run, at the model's size.

    Args:
        image: [1, 3, h, w] in [-1, 1].
        mask: [1, 1, h, w] in [0, 1], 1 to edit, soft values between.
        prompt: text whose length has been checked.
        seeds: one a variation, each 0 … 2^31-1; see `velatura.diffusion.noise.Seed`.
        rasters: the further ones of the request, [1, C, h, w] by name, in the crop of the image;
            `velatura.canvas.rasters` has C and the range of each kind.
    """

    image: Tensor
    mask: Tensor
    prompt: str
    seeds: list[int]
    rasters: Mapping[str, Tensor] = field(default_factory=dict[str, "Tensor"])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        height, width = self.image.shape[-2:]
        return height, width


class Mask(NamedTuple):
    """A selection, made by a method of result 'mask'.

    Args:
        name: for the person, mostly a word.
        map: [h, w] in [0, 1] at the size of `MethodInputs.image`, 1 selected.
    """

    name: str
    map: Tensor


class Legend(NamedTuple):
    """The meaning of the colours of a flat picture.

    Args:
        title: of the layer, at most `velatura_protocol.results.MAX_TITLE` characters.
        note: a sentence for the person, at most `MAX_NOTE` characters.
    """

    title: str
    note: str


class Stage(NamedTuple):
    """A part of a run that the person waits for.

    Args:
        name: the activity in a painter's words ("Reading the layer"), as hosts show it; '' for the main one,
            "Editing" or "Looking".
        share: its approximate share of the whole run, in (0, 1]. The last stage takes the rest, including
            the shares of stages that were not needed.
    """

    name: str = ""
    share: float = 1.0


WHOLE = Stage()
"""The only stage of most methods, and the last stage of the others."""


class Context(Protocol):
    """A method's only access to models, the cache, progress and cancellation."""

    @property
    def generator(self) -> Generator:
        """The model, of the kind that the method names."""
        ...

    @property
    def model(self) -> LatentDiffusion:
        """The model of a method whose kind is 'diffusion' or 'pixel-diffusion'."""
        ...

    @property
    def cache(self) -> Cache:
        """The cache behind `kept`, for values that grow during an edit."""
        ...

    @property
    def shelf(self) -> Shelf:
        """The dials that methods have found and that a person has kept, with those that the model ships."""
        ...

    @property
    def is_draft(self) -> bool:
        """Whether the run only shows a preview while a person moves a slider. It then has one seed."""
        ...

    @property
    def captioner(self) -> Captioner:
        """The network that describes pictures. Raises `unknown-model` if the model has none."""
        ...

    @property
    def segmenter(self) -> Segmenter:
        """The network that finds named things. Raises `unknown-model` if the model has none."""
        ...

    @property
    def clip(self) -> Encoder:
        """The CLIP that compares pictures with words. Raises `unknown-model` if the model has none."""
        ...

    @property
    def identity(self) -> Identity | None:
        """The network that tells faces apart; None if the model has none."""
        ...

    @property
    def landmarks(self) -> Landmarks | None:
        """The network that finds eyes and mouths; None if the model has none."""
        ...

    @property
    def reconstruction(self) -> Tensor:
        """D(E(x)), the autoencoder's reconstruction of the unedited picture, [1, 3, h, w] in [-1, 1]."""
        ...

    def kept(self, key: str, make: Callable[[list[Any]], _Value], *, on_disk: bool = False) -> _Value:
        """A costly value that is made once a layer: an inversion, fitted embeddings, tuned weights.

        It is taken from the cache if an earlier edit made it; see `velatura.cache.cache.Cache.kept`.

        Args:
            key: of `velatura.cache.keys.key_of`; it names the inputs and all parameters that matter.
            make: makes the value, on the model's device. Its argument is a list to which it may append
                finished parts; if the person cancels, the next call gets the same list and resumes.
            on_disk: whether it takes longer to make than to read from a disk. Dataclasses in it have to be
                `velatura.cache.values.storable`.
        """
        ...

    def step(
        self, i: int, n: int, preview: Callable[[], Tensor] | None = None, *, stage: Stage = WHOLE
    ) -> None:
        """Reports that step i of n (from 1) of a stage is done.

        Args:
            i: the step, from 1.
            n: the steps of the stage.
            preview: makes a picture of the expected result, [1, 3 or 4, h, w] as `Method.run` returns them;
                called only if a preview is due.
            stage: of the run.

        Raises:
            Cancelled: the person has cancelled the job.
        """
        ...

    def remark(self, sentence: str) -> None:
        """Says a sentence for the person in the result's note, once."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """The finished latents [N, C, h, w] as pictures [N, 3, H, W].

        Raises `Cancelled` between pictures: on a slow device a decoder takes as long as several steps.
        """
        ...


class Method:
    """Base of every method. Subclasses set the class variables and define `Parameters` and `run`.

    Importing its module imports no torch, and neither do `check` and `varies`: the broker calls them.

    Attributes:
        id: lower-case letters, digits and hyphens.
        version: grows when a recipe would give another result.
        title: for the person.
        summary: one sentence for the person.
        source: the paper and the equations.
        inputs: the rasters and the prompt that it takes.
        result: the id of one of `kinds.KINDS`: 'layer', an edited picture a variation; 'mask', selections of
            the source, all in one variation; or 'text', descriptions of the source, likewise.
        needs: the companion of the model (`velatura.companions.table`) without which it cannot work, or ''.
        reads_prompt: the companion that reads the prompt and all other texts in place of the model, which
            then does not check their length; '' where the model reads them.
        generator: the kind of model that it works with (`velatura.generators.kinds`), or several, '' for
            any.
        trait: the trait of a model's files (a key of `velatura.models.traits.NEEDED`) without which it cannot
            work, or ''.
        by_attention: whether it works inside of the model's attention to the words and to the picture, so
            that a model that reads a text as a whole (`Family.reads_words`) cannot run it.
        drafts: whether it can show a draft while a person moves a slider; False where it can show nothing for
            minutes.
        max_variations: most variations of one request.
        from_nothing: whether it looks at nothing of the layer, which may then be empty; without a selection
            its result covers the whole layer.
        section: its part of the list that a person chooses from, a name of `sections.SECTIONS`; '' for the
            section of its kind of result.
        flat: whether its pictures are of flat colours: their edges stay hard at the layer's size, so that no
            colour is mixed.
        sees: the side of the picture that it is given, in sides of the model's pictures: 1, or more for a
            method that finds its own place there and looks closer at it. No layer is enlarged for it.
        place: in its section, smallest first; methods of one place are in the order of their titles.
        Parameters: the class of its parameters.
    """

    id: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    inputs: ClassVar[Inputs] = Inputs()
    result: ClassVar[str] = "layer"
    needs: ClassVar[str] = ""
    reads_prompt: ClassVar[str] = ""
    drafts: ClassVar[bool] = True
    generator: ClassVar[str | tuple[str, ...]] = DIFFUSION
    trait: ClassVar[str] = ""
    by_attention: ClassVar[bool] = False
    max_variations: ClassVar[int] = 8
    section: ClassVar[SectionName | Literal[""]] = ""
    from_nothing: ClassVar[bool] = False
    flat: ClassVar[bool] = False
    sees: ClassVar[int] = 1
    place: ClassVar[int] = 100
    Parameters: ClassVar[type[Parameters]]

    def run(self, inputs: MethodInputs, params: Any, context: Context) -> Tensor | list[Mask] | list[str]:
        """Runs the method. Raises `Cancelled`.

        Args:
            inputs: at the model's size.
            params: of the class `Parameters`.
            context: models, cache, progress.

        Returns:
            One or more: for result 'layer' the edited pictures, [N, 3, h, w] in [-1, 1], one a seed, or
            [N, 4, h, w] with their own opacity in [0, 1] as the fourth channel, which makes the selection
            smaller; for 'mask' the masks; for 'text' the texts, the likeliest first.
        """
        raise NotImplementedError

    def check(self, prompt: str, params: Any) -> None:
        """Raises VelaturaError for a fault that can be seen before a model is loaded.

        prompt: without the space around it. The broker calls this before it queues a job.
        """

    def varies(self, params: Any) -> bool:
        """Whether another seed gives another result; if not, a request may have only one variation."""
        return True

    def inverts(self, params: Any) -> bool:
        """Whether the selection is the part that stays. Its inverse then takes its place from the start, also
        as the result's alpha."""
        return False

    def compared_with(self, params: Any) -> Compared:
        """The picture that a result is compared with, so that the layer gets its own detail back where both
        are equal (`velatura.canvas.detail`).

        'reconstruction': D(E(x)), for results of the decoder. 'layer': x as the model sees it, for results
        whose background is reconstructed. 'nothing': the result stays as it is.
        """
        return "reconstruction"

    def wanted(self, prompt: str, params: Any) -> str:
        """The text that variations are ranked by, a description of the wanted result: mostly the prompt."""
        return prompt

    def selection_is_amount(self, rasters: Collection[str]) -> bool:
        """Whether a soft selection says how much each place changes.

        The result's alpha is then whole wherever anything is selected: as alpha, too, the softness would
        weaken the edit twice.

        rasters: the names of the further ones that the request has.
        """
        return False

    def legend(self, context: Context) -> Legend | None:
        """The meaning of its pictures' colours, which the layer's title and the result's note then say; such
        pictures are not ranked. None for pictures that speak for themselves."""
        return None

    def before(self, params: Parameters) -> str:
        """The caption of the unedited layer, if the parameters have one; else ''."""
        return next(iter(params.marked("x-source-prompt")), "").strip()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Raises TypeError for an incomplete class, so that a bad method fails at import."""
        super().__init_subclass__(**kwargs)
        check_declared(cls)
        if cls.generator and suits(cls.generator, DIFFUSION) and cls.result != "text":
            cls.Parameters = with_guides(with_adapters(cls.Parameters))
        if cls.result == "layer" and cls.max_variations > 1:
            cls.Parameters = with_around(cls.Parameters)
        schema(cls.Parameters)
