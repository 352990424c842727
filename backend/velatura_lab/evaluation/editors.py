"""Editors: every registered method as a person would use it, and two naive baselines.

A method gets the inputs that it declares: a selection if it takes one, the prompt, and, for marked
parameters, the subject of the edit (`given`). A new method needs no change here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from velatura.cache.cache import Cache
from velatura.diffusion import denoiser, noise, samplers, schedule
from velatura.generators.styles import STYLE
from velatura.methods.base import Method
from velatura.methods.execute import Hooks, ResultLayer, execute
from velatura.methods.registry import registry
from velatura.models.store import ModelStore
from velatura.pixels.over import over
from velatura_protocol.errors import VelaturaError
from velatura_protocol.kinds import RESULTS
from velatura_protocol.rasters import Bytes, Pixels
from velatura_protocol.requests import Edit, blobs

from .cases import Case
from .given import filled, pixels_of, prompt_of
from .stores import Stores

BY_HAND = frozenset({"editgan", "face-dials"})
"""Methods that need something a person has made, which no case has: a repainted map of parts, kept sliders.
They are measured by tests of their own."""


@dataclass(frozen=True)
class Edited:
    """The results of one edit.

    Args:
        pictures: uint8 [N, h, w, 3], one for each seed, or a single one where seeds make no difference.
        sources: as `pictures`, where an editor edits pictures of its own making; None otherwise.
        scores: the method's ranking of its pictures, where more is better, or None.
    """

    pictures: NDArray[np.uint8]
    sources: NDArray[np.uint8] | None = None
    scores: Sequence[float] | None = None


class Editor(Protocol):
    """Makes edits.

    Attributes:
        id: unique in a run.
        title: its name in the report.
        source: its publication, for the report.
        baseline: whether it is a naive way beside the methods.
        cycles: whether its results can be edited back.
        slow: whether it takes many times as long as most methods.
        batch: the most seeds of one edit.
        settings: all that its results depend on, apart from the case, the seeds and the model.
    """

    id: str
    title: str
    source: str
    baseline: bool
    cycles: bool
    slow: bool
    batch: int
    settings: dict[str, Any]

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """The results for consecutive seeds. Raises VelaturaError where the method refuses the case."""
        ...


def check_rows(rows: Sequence[str], settings: Mapping[str, object]) -> None:
    """Raises `bad-request` for a row that a study does not have."""
    for row in rows:
        if row not in settings:
            there = ", ".join(settings)
            raise VelaturaError("bad-request", f"The study has no settings {row!r}; there are: {there}.")


def shared_cache() -> Cache:
    """A cache that the rows of a study share, in memory."""
    return Cache(memory=640 * 1024**2)


class Unwatched:
    """Hooks of a run without anybody who watches it."""

    def progress(self, stage: str, step: int, steps: int, fraction: float) -> None:
        """Nothing to show."""

    def preview(self, step: int, rgb: NDArray[Any], rect: tuple[int, int, int, int]) -> None:
        """Nothing to show."""

    def cancelled(self) -> bool:
        """Never."""
        return False


def layers_of(
    request: dict[str, Any],
    blobs: Mapping[str, Bytes],
    models: ModelStore,
    hooks: Hooks,
    cache: Cache | None = None,
) -> list[ResultLayer]:
    """`execute` for a method that gives layers or masks. Raises TypeError for one that gives texts.

    Args:
        request: SPEC section 5.
        blobs: bytes by digest.
        models: the model and its companions.
        hooks: watch the run.
        cache: holds values from one edit to the next.
    """
    layers: list[ResultLayer] = []
    for layer in execute(request, lambda digest: memoryview(blobs[digest]), models, hooks, cache):
        if isinstance(layer, str):
            raise TypeError(f"{request['method']} gives texts")
        layers.append(layer)
    return layers


@dataclass
class MethodEditor:
    """A registered method through `velatura.methods.execute`, as the daemon runs it, with its defaults.

    Args:
        method: the method.
        models: the model and its companions.
        model: id of the model, or '' for the default one.
        defaults: values that replace the method's defaults, for the parameters that it has; a name such as
            "imagic.steps" is for one method.
        masked: False withholds the selection from a method that does not require one.
        baseline: see `Editor`.
        id: by default the method's.
        title: by default the method's.
        source: by default the method's.
        cycles: see `Editor`.
        cache: holds values from one edit to the next; None for edits that do not know of each other.
    """

    method: Method
    models: ModelStore
    model: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    masked: bool = True
    baseline: bool = False
    id: str = ""
    title: str = ""
    source: str = ""
    cycles: bool = True
    cache: Cache | None = None
    slow: bool = field(init=False)
    batch: int = field(init=False)
    settings: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.id, self.title = self.id or self.method.id, self.title or self.method.title
        self.source = self.source or self.method.source
        self.slow, self.batch = not self.method.drafts, self.method.max_variations
        self.masked = self.masked and self.method.inputs.mask != "none"
        own = self.method.Parameters().model_dump(mode="json")
        ordered = sorted(self.defaults.items(), key=lambda item: "." in item[0])  # those for one method last
        given = {key.removeprefix(f"{self.method.id}."): value for key, value in ordered}
        parameters = own | {key: value for key, value in given.items() if key in own}
        self.settings = {"version": self.method.version, "masked": self.masked, "parameters": parameters}

    def request(self, case: Case, seeds: Sequence[int]) -> tuple[dict[str, Any], dict[str, Bytes]]:
        """The request on the wire (SPEC section 5) and its blobs."""
        inputs: dict[str, Pixels | None] = {"source": None, "mask": None}
        if self.method.inputs.source != "none":
            inputs["source"] = pixels_of(case.source, "RGB", "sRGB")
        if self.masked:
            inputs["mask"] = pixels_of(case.mask[..., None], "A", "")
        values, further = filled(self.method, case, self.settings["parameters"])
        inputs |= further
        height, width = case.source.shape[:2]
        edit = Edit(
            self.method.id,
            self.method.version,
            model=self.model,
            prompt=prompt_of(self.method, case, values),
            seed=seeds[0],
            variations=len(seeds) if self._varies(values) else 1,
            parameters=values,
        )
        return dict(edit.on(inputs, (width, height)).to_wire()), blobs(inputs)

    def changed(self, **parameters: object) -> Self:
        """The same editor with other values of these parameters."""
        one = replace(self)
        one.settings = self.settings | {"parameters": self.settings["parameters"] | parameters}
        return one

    def _varies(self, values: dict[str, Any]) -> bool:
        return self.method.varies(self.method.Parameters(**values))

    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """The pictures as a host shows them: each result laid over the source by its alpha."""
        layers = layers_of(*self.request(case, seeds), self.models, Unwatched(), self.cache)
        places = [layer.place for layer in layers if layer.place is not None]
        scores = [place.score for place in places] if len(places) == len(layers) else None
        pictures = [laid_over(case.source, layer.raster, layer.data) for layer in layers]
        return Edited(np.stack(pictures), scores=scores)


def laid_over(source: NDArray[np.uint8], raster: Mapping[str, Any], data: bytes) -> NDArray[np.uint8]:
    """A result layer of `execute`, 8-bit RGBA, over its source; uint8 [h, w, 3]."""
    x, y, width, height = raster["rect"]
    return over(source, np.frombuffer(data, np.uint8).reshape(height, width, 4), (x, y))


@dataclass
class SameSeed:
    """Types the new prompt and leaves the seed as it was.

    The source is a sample of the source prompt, the result a sample of the target prompt from the same
    noise. A person without an editor does this, and Hertz et al. 2022 (Prompt-to-Prompt, figure 2) begin with
    this comparison. It cannot edit a given picture, so it is measured against its own source, with the drawn
    pair's region, which fits the sample only roughly.
    """

    models: ModelStore
    model: str = ""
    id: str = "same-seed"
    title: str = "Same seed, new prompt"
    source: str = "Hertz et al. 2022, arXiv:2208.01626, figure 2"
    baseline: bool = True
    cycles: bool = False
    slow: bool = False
    batch: int = 8
    settings: dict[str, Any] = field(default_factory=lambda: {"version": 1, "guidance": 3.0, "steps": 16})

    @torch.inference_mode()
    def edit(self, case: Case, seeds: Sequence[int]) -> Edited:
        """See `Editor`."""
        size = case.source.shape[1], case.source.shape[0]
        sources, pictures = (self._samples(p, seeds, size) for p in (case.source_prompt, case.target_prompt))
        return Edited(pictures, sources)

    def _samples(self, prompt: str, seeds: Sequence[int], size: tuple[int, int]) -> NDArray[np.uint8]:
        model = self.models.diffusion(self.model)
        D = denoiser.guided(model, prompt, "", self.settings["guidance"])
        sigmas = schedule.sigmas(model.training_sigmas, self.settings["steps"])
        side = model.latent_size
        n = noise.standard_normal(seeds, (model.latent_channels, side, side)).to(model.device)
        z = samplers.dpmpp_2m(D, sigmas[0] * n, sigmas, lambda x, _: x)
        images = torch.cat([model.decode(one) for one in z.split(1)])
        pixels = ((images + 1.0) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        if pixels.shape[1:3] == size[::-1]:
            return pixels
        return np.stack(
            [np.asarray(Image.fromarray(p).resize(size, Image.Resampling.LANCZOS)) for p in pixels]
        )


def noise_and_denoise(
    models: ModelStore, model: str = "", defaults: Mapping[str, Any] | None = None
) -> MethodEditor:
    """The baseline that noises the whole picture and denoises it towards the new prompt, without a selection
    (Meng et al. 2022, SDEdit)."""
    return MethodEditor(
        registry()["sdedit"],
        models,
        model,
        defaults or {},
        masked=False,
        baseline=True,
        id="noise-and-denoise",
        title="Noise and denoise the whole",
        source="Meng et al. 2022, arXiv:2108.01073, algorithm 1",
    )


def editors(
    models: ModelStore,
    model: str = "",
    methods: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> list[Editor]:
    """The registered methods that edit, or the named ones, then the baselines.

    A method for models of another kind edits with the first model of that kind in `models`; where there is
    none, it is left out.

    Args:
        models: the model and its companions, and those of other kinds.
        model: its id, or '' for the default one.
        methods: ids; all where empty.
        defaults: see `MethodEditor`.

    Raises:
        VelaturaError: `unknown-method`, also for a named method without a model of its kind.
    """
    given = dict(defaults or {})
    known = _known()
    for name in methods:
        if name not in known:
            raise VelaturaError(
                "unknown-method", f"There is no method {name!r}; there are: {', '.join(known)}."
            )
    chosen = [method for id, method in known.items() if not methods or id in methods]
    stores = Stores(models, model)
    if methods:
        for sentence in stores.left_out(chosen):
            raise VelaturaError("unknown-method", sentence)
    own = [(method, store) for method in chosen if (store := stores.of(method)) is not None]
    return [
        *(
            MethodEditor(method, models, model, given) if store is models else _beside(method, store, given)
            for method, store in own
        ),
        SameSeed(models, model, settings={"version": 1, "guidance": given.get("guidance", 3.0), "steps": 16}),
        noise_and_denoise(models, model, given),
    ]


def _beside(method: Method, store: ModelStore, defaults: Mapping[str, Any]) -> MethodEditor:
    """An editor with a model of another kind, on which its results depend."""
    made, model = MethodEditor(method, store, "", defaults), store.get()
    made.settings["model"] = f"{model.id} {model.digest}"
    return made


def methods_left_out(models: ModelStore, model: str = "") -> list[str]:
    """A sentence for each registered method that edits and has no model of its kind; see `editors`."""
    return Stores(models, model).left_out(list(_known().values()))


def quick_methods() -> tuple[str, ...]:
    """The ids of the methods of the smoke check.

    Those on faces are left out, since they learn for minutes and change nothing but faces; the study of faces
    has them. So are those for models of a trait that no embedded model has.
    """
    return tuple(id for id, method in _known().items() if method.generator != STYLE and not method.trait)


def _known() -> dict[str, Method]:
    """The methods that edit by what a case says. Pictures that need a legend are no edits: maps, sheets."""
    return {
        id: method
        for id, method in registry().items()
        if RESULTS[method.result].is_edit and type(method).legend is Method.legend and id not in BY_HAND
    }
