"""A session with the daemon: its methods and models, and edits of arrays and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from velatura.client.connection import connected
from velatura.client.jobs import NAME, Job, Progress, Work
from velatura.client.outputs import check_format
from velatura.client.requests import inputs_of
from velatura.client.results import Result
from velatura.client.settings import Picture, Settings, parameters, picture, selection
from velatura_protocol import paths
from velatura_protocol.catalogue import Catalogue, MethodInfo, ModelInfo
from velatura_protocol.errors import VelaturaError

CLOSING = 10.0  # seconds for a cancelled job's end


def connect(state_dir: str | Path | None = None, *, start: bool = True) -> Session:
    """A session with the daemon of this computer.

    Args:
        state_dir: the daemon's folder; None for the usual one.
        start: whether to start the daemon where none runs.

    Raises VelaturaError, such as `not-running` (only without `start`) and `unavailable`.
    """
    folder = paths.state_dir(state_dir)
    with connected(folder, start=start, name=NAME) as client:
        return Session(folder, client.methods())


class Session:
    """The methods and models of one daemon, and edits by it; a context that cancels its edits at its end.

    Attributes:
        catalogue: the methods and models as they were when the session began.
    """

    def __init__(self, state_dir: Path, answer: Mapping[str, Any]) -> None:
        """For `connect`. answer: the daemon's, to `methods` (SPEC section 4)."""
        self._state_dir = state_dir
        self._schemas = {method["id"]: method["parameters"] for method in answer["methods"]}
        self.catalogue = Catalogue.from_wire(answer)
        self._jobs: list[Job] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def methods(self) -> tuple[MethodInfo, ...]:
        """The methods, in the order in which hosts show them."""
        return self.catalogue.methods

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The models, the default one first."""
        return self.catalogue.models

    def method(self, identifier: str = "") -> MethodInfo:
        """The method of an id; the first that edits for ''. Its `fields` are its settings.

        Raises `unknown-method`, which lists the methods.
        """
        named = (method for method in self.methods if method.id == identifier)
        found = next(named, None) if identifier else self.catalogue.first_edit
        if found is None:
            names = ", ".join(method.id for method in self.methods)
            raise VelaturaError("unknown-method", f"There is no method {identifier!r}; there are: {names}.")
        return found

    def schema(self, identifier: str) -> Mapping[str, Any]:
        """The JSON schema of a method's settings (SPEC section 6). Raises `unknown-method`."""
        return self._schemas[self.method(identifier).id]

    def edit(
        self,
        source: Picture,
        prompt: str = "",
        *,
        on_progress: Callable[[Progress], object] | None = None,
        mask: Picture | None = None,
        method: str = "",
        model: str = "",
        seed: int = -1,
        variations: int = 1,
        settings: Settings | None = None,
        pictures: Mapping[str, Picture] | None = None,
    ) -> Result:
        """Edit a picture and return the result; the arguments are those of `start`.

        on_progress: called in the caller's thread. An exception of it, such as KeyboardInterrupt, cancels the
        edit. Raises what `start` and `Job.result` raise.
        """
        job = self.start(
            source,
            prompt,
            mask=mask,
            method=method,
            model=model,
            seed=seed,
            variations=variations,
            settings=settings,
            pictures=pictures,
        )
        try:
            for progress in job:
                if on_progress is not None:
                    on_progress(progress)
            return job.result()
        except BaseException:
            job.cancel()
            raise

    def start(
        self,
        source: Picture,
        prompt: str = "",
        *,
        mask: Picture | None = None,
        method: str = "",
        model: str = "",
        seed: int = -1,
        variations: int = 1,
        settings: Settings | None = None,
        pictures: Mapping[str, Picture] | None = None,
        out: Path | None = None,
    ) -> Job:
        """Begin an edit and return at once.

        Args:
            source: the picture: a file, or an array of uint8 or uint16, gray or RGB in sRGB, with or without
                alpha.
            prompt: a description of the result.
            mask: where to edit: a file, or an array [height, width] of bool, uint8 or uint16 whose maximum
                means selected; None for the whole picture.
            method: an id; '' for the first method that edits.
            model: an id; '' for the daemon's default.
            seed: the same seed gives the same result; -1 for any.
            variations: the number of results.
            settings: the method's parameters that differ from its defaults, by key, or an object of the
                method's own class (`registry()[id].Parameters` of `velatura.methods.registry`).
            pictures: the method's further pictures, by name.
            out: where `Result.save` will write; a format that cannot hold the result is refused now.

        Raises VelaturaError before any work: `unknown-method`, `bad-request`, `unsupported-colour`,
        `too-large`.
        """
        chosen = self.method(method)
        image, name = picture(source)
        size = image.width, image.height
        if out is not None:
            check_format(out, image, chosen.kind.insert)
        selected, mask_name = (None, "") if mask is None else selection(mask, size)
        values, rasters = parameters(chosen, settings or {}, pictures or {}, size)
        edit = chosen.edit(prompt, values, model=model, seed=seed, variations=variations)
        inputs = inputs_of(image, selected, (name, mask_name)) | rasters
        job = Job(Work(self._state_dir, self.catalogue, chosen, edit, inputs, image, selected))
        self._jobs = [*(running for running in self._jobs if not running.done), job]
        return job

    def close(self) -> None:
        """Cancel the edits that run, and wait for their ends."""
        for job in self._jobs:
            job.cancel()
        for job in self._jobs:
            job.wait(CLOSING)
        self._jobs = []
