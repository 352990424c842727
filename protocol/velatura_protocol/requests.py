"""The request, which is the recipe (SPEC section 5): the only module that builds and reads them.

An `Edit` describes an edit without its picture; `Edit.on` adds the pixels and gives the `Request` to send. A
`Recipe` is the request of a result; its `again` is an `Edit`, so that no old pixels get into a new request.
The inputs are a mapping from a raster's name to its pixels, since a method may take others than `source` and
`mask`; None stands for a missing raster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict

from .errors import VelaturaError
from .messages import is_digest
from .rasters import FAR, MASK_CHANNELS, MAX_NAME, Bytes, Pixels, Raster, RasterObject, bad_request, touch
from .reading import as_integer, as_list, as_object, text_of
from .schema import Field

REQUEST_VERSION = 1
MAX_PROMPT = 2000
MAX_VARIATIONS = 64
MAX_SEED = 2**31 - 1

DAMAGED = "This layer's recipe cannot be read; make the edit anew."
NEWER = "This layer was made by a newer version of Velatura; update Velatura to run its recipe again."


class ModelChoice(TypedDict):
    """The model of a request as JSON has it."""

    id: str
    digest: str


class _Whole(TypedDict):
    velatura: int
    method: str
    method_version: int
    model: ModelChoice
    prompt: str
    seed: int
    variations: int
    parameters: dict[str, object]
    inputs: dict[str, RasterObject | None]
    canvas: list[int]


class RequestObject(_Whole, total=False):
    """A request as JSON has it."""

    lease: bool
    draft: bool


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit without its picture.

    Attributes:
        method: an id.
        method_version: 0 for the newest.
        model: an id; empty for the daemon's default.
        model_digest: empty for any files of that model.
        prompt: at most `MAX_PROMPT` characters.
        seed: -1 lets the daemon choose one.
        variations: 1 ... `MAX_VARIATIONS`.
        parameters: by key; missing ones take their defaults.
    """

    method: str
    method_version: int = 0
    model: str = ""
    model_digest: str = ""
    prompt: str = ""
    seed: int = -1
    variations: int = 1
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])

    def on(
        self,
        inputs: Mapping[str, Pixels | None],
        canvas: Sequence[int],
        *,
        lease: bool = False,
        draft: bool = False,
    ) -> Request:
        """The request for this edit of these pixels; `blobs` has their bytes.

        Args:
            inputs: the pixels by the raster's name. Pixels without a digest are hashed now.
            canvas: width and height of the document.
            lease: whether the daemon cancels the job when its client vanishes.
            draft: whether it asks for a draft.
        """
        width, height = canvas
        return Request(
            method=self.method,
            method_version=self.method_version,
            model=self.model,
            model_digest=self.model_digest,
            prompt=self.prompt,
            seed=self.seed,
            variations=self.variations,
            parameters=self.parameters,
            inputs={name: pixels.raster if pixels else None for name, pixels in inputs.items()},
            canvas=(width, height),
            lease=lease,
            draft=draft,
        )


def blobs(inputs: Mapping[str, Pixels | None]) -> dict[str, Bytes]:
    """The bytes to upload with a request on these inputs, by digest."""
    there = [pixels for pixels in inputs.values() if pixels is not None]
    return {
        **{pixels.raster.icc: pixels.icc for pixels in there if pixels.icc},
        **{pixels.raster.digest: pixels.data for pixels in there},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Edit):
    """An edit of certain pixels. inputs: rasters by name. canvas: width and height of the document."""

    inputs: Mapping[str, Raster | None]
    canvas: tuple[int, int]
    lease: bool = False
    draft: bool = False

    @classmethod
    def from_wire(cls, value: object) -> Request:
        """Reads a request, and checks everything that needs neither its method nor its pixels.

        Raises the errors of `Raster.from_wire`, `bad-request`, `prompt-too-long`, and `mask-outside` where
        the mask's rectangle does not touch the source's.
        """
        d = _object(value, "The request")
        version = _integer(d, "velatura", 1, FAR)
        if version != REQUEST_VERSION:
            sentence = f"The request is of version {version}, which is not known here; update the daemon."
            raise bad_request(sentence, version)
        model = _object(d.get("model"), "The request's model")
        return cls(
            method=_name(d, "method", empty=False),
            method_version=_integer(d, "method_version", 0, FAR),
            model=_name(model, "id"),
            model_digest=_model_digest(model),
            prompt=_prompt(d),
            seed=_integer(d, "seed", -1, MAX_SEED),
            variations=_integer(d, "variations", 1, MAX_VARIATIONS),
            parameters=_object(d.get("parameters"), "The request's parameters"),
            lease=_flag(d, "lease"),
            draft=_flag(d, "draft"),
            canvas=_canvas(d.get("canvas")),
            inputs=_inputs(_object(d.get("inputs"), "The request's inputs")),
        )

    def to_wire(self) -> RequestObject:
        """The object that `from_wire` reads."""
        made: RequestObject = {
            "velatura": REQUEST_VERSION,
            "method": self.method,
            "method_version": self.method_version,
            "model": {"id": self.model, "digest": self.model_digest},
            "prompt": self.prompt,
            "seed": self.seed,
            "variations": self.variations,
            "parameters": dict(self.parameters),
            "inputs": {name: raster.to_wire() if raster else None for name, raster in self.inputs.items()},
            "canvas": list(self.canvas),
        }
        if self.lease:
            made["lease"] = True
        if self.draft:
            made["draft"] = True
        return made


@dataclass(frozen=True, slots=True)
class Recipe:
    """The record of a result's making.

    Attributes:
        request: as it was run.
        job: its id.
        variation: the index of this result, from 0.
        written: the whole object as it was read, with the fields that this version does not know.
    """

    request: Request
    job: str
    variation: int
    written: Mapping[str, object]

    @classmethod
    def from_wire(cls, value: object) -> Recipe:
        """Reads the recipe of a result layer (SPEC section 4), of this or of an older version.

        Raises `bad-request` with a sentence about the layer for every fault of the recipe.
        """
        d = as_object(value)
        if d is None:
            raise bad_request(DAMAGED, value)
        version = as_integer(d.get("velatura"), REQUEST_VERSION + 1, FAR)
        if version is not None:
            raise bad_request(NEWER, version)
        try:
            request = Request.from_wire(d)
        except VelaturaError as error:
            detail = f"{error.message} {error.detail}"
            raise VelaturaError("bad-request", DAMAGED, detail=detail) from error
        variation = as_integer(d.get("variation"), 0, FAR)
        return cls(request, text_of(d, "job"), variation or 0, d)

    def of_layer(self) -> Recipe:
        """The recipe of this variation alone, with its own seed."""
        seed = (self.request.seed + self.variation) % (MAX_SEED + 1)
        request = replace(self.request, seed=seed, variations=1)
        return replace(self, request=request, written={**self.written, "seed": seed, "variations": 1})

    def more_like(self, group: Field, distance: float, *, variations: int, seed: int = -1) -> Edit:
        """The edit that makes others like this variation.

        Args:
            group: the method's `around` (SPEC section 6).
            distance: how far they may lie from it, in [0, 1].
            variations: how many.
            seed: of the first; -1 lets the daemon choose one.

        Raises `bad-request` where this one came of more such steps than the group takes.
        """
        own = (self.request.seed + self.variation) % (MAX_SEED + 1)
        steps = as_list(self.request.parameters.get(group.key)) or []
        entries = [*steps, {"seed": own, "distance": distance}]
        if len(entries) > group.max_items:
            raise VelaturaError(
                "bad-request",
                "This result came of too many steps of 'more like this'; run the edit anew with a seed of its"
                " own.",
            )
        return self.again(seed=seed, variations=variations, parameters={group.key: entries})

    def again(
        self,
        *,
        prompt: str | None = None,
        seed: int | None = None,
        variations: int | None = None,
        parameters: Mapping[str, object] | None = None,
    ) -> Edit:
        """The edit of this recipe, for new pixels; arguments that are None stay as they were.

        parameters: only the changed ones.
        """
        old = self.request
        return Edit(
            method=old.method,
            method_version=old.method_version,
            model=old.model,
            model_digest=old.model_digest,
            prompt=old.prompt if prompt is None else prompt,
            seed=old.seed if seed is None else seed,
            variations=old.variations if variations is None else variations,
            parameters={**old.parameters, **(parameters or {})},
        )


def _object(value: object, what: str) -> dict[str, object]:
    d = as_object(value)
    if d is None:
        raise bad_request(f"{what} is missing; update the plugin.", value)
    return d


def _integer(d: Mapping[str, object], key: str, low: int, high: int) -> int:
    value = as_integer(d.get(key), low, high)
    if value is None:
        raise bad_request(f"The request's {key} has to be a whole number from {low} to {high}.", d.get(key))
    return value


def _name(d: Mapping[str, object], key: str, *, empty: bool = True) -> str:
    value = d.get(key)
    if not isinstance(value, str) or len(value) > MAX_NAME or not (value or empty):
        raise bad_request(f"The request's {key} is missing or too long; update the plugin.", value)
    return value


def _flag(d: Mapping[str, object], key: str) -> bool:
    value = d.get(key, False)
    if not isinstance(value, bool):
        raise bad_request(f"The request's {key} is neither true nor false; update the plugin.", value)
    return value


def _model_digest(model: Mapping[str, object]) -> str:
    value = model.get("digest")
    if value == "":
        return ""
    if not is_digest(value):
        sentence = "The request names a model by a digest that is none; choose the model again."
        raise bad_request(sentence, value)
    return value


def _prompt(d: Mapping[str, object]) -> str:
    value = d.get("prompt")
    if not isinstance(value, str):
        raise bad_request("The request has no prompt; update the plugin.", value)
    if len(value) > MAX_PROMPT:
        sentence = f"The prompt has {len(value)} characters, more than {MAX_PROMPT}; shorten it."
        raise VelaturaError("prompt-too-long", sentence)
    return value


def _canvas(value: object) -> tuple[int, int]:
    sides = [as_integer(side, 1, FAR) for side in as_list(value) or ()]
    inside = [side for side in sides if side is not None]
    if not len(sides) == len(inside) == 2:
        raise bad_request("The request does not give the size of the picture; update the plugin.", value)
    return inside[0], inside[1]


def _inputs(inputs: Mapping[str, object]) -> dict[str, Raster | None]:
    """Every raster by its name; the source is required, since every method needs one."""
    source = Raster.from_wire(inputs.get("source"))
    if source.channels == "A":
        raise VelaturaError("unsupported-colour", "This layer has no colours; choose a layer with colours.")
    rasters = {name: None if value is None else Raster.from_wire(value) for name, value in inputs.items()}
    mask = rasters.setdefault("mask", None)
    if mask is not None and mask.channels not in MASK_CHANNELS:
        raise VelaturaError(
            "bad-layer",
            "The mask is not a single channel; make a new selection and try again.",
            detail=f"mask channels {mask.channels!r}",
        )
    if mask is not None and not touch(source.layer_rect, mask.rect):
        raise VelaturaError("mask-outside", "The selection does not touch the layer; select a part of it.")
    return rasters
