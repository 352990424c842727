"""An edit that runs in the daemon while the caller goes on: its progress, its end, its result."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from velatura.client.connection import connected
from velatura.client.results import Result
from velatura.client.running import fetch, proposal, proposed, run
from velatura.files.images import Image
from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.client import Client
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Edit
from velatura_protocol.results import best_first, texts
from velatura_protocol.session import Payload

NAME = "velatura from Python"
SENDING = "Sending the picture"


@dataclass(frozen=True, eq=False)
class Progress:
    """How far an edit is.

    Attributes:
        stage: the present work, for a person.
        fraction: of the whole edit in the daemon, in [0, 1]; it never falls.
        preview: the latest small picture of the result, [height, width, channels] uint8, at most 256 pixels a
            side; None before the first.
    """

    stage: str = ""
    fraction: float = 0.0
    preview: np.ndarray | None = None


@dataclass(frozen=True)
class Work:
    """Everything that an edit needs.

    Args:
        state_dir: the daemon's.
        known: the daemon's methods and models.
        method: of the edit.
        edit: the settings.
        inputs: the pixels, by name.
        source: the picture.
        mask: its mask, or None.
    """

    state_dir: Path
    known: Catalogue
    method: MethodInfo
    edit: Edit
    inputs: dict[str, Pixels | None]
    source: Image
    mask: Image | None = field(default=None)


class Job:
    """An edit that has been handed to the daemon. Any thread may use it.

    Iterate over it to follow it: each turn gives the newest `Progress`, and the loop ends with the edit.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._progress = Progress()
        self._turn = 0  # counts the changes of `_progress`
        self._cancelled = threading.Event()
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="velatura job", daemon=True)
        self._thread.start()

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        return self._progress

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._result is not None or self._error is not None

    def __iter__(self) -> Iterator[Progress]:
        seen = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.done or self._turn != seen)  # noqa: B023
                if self._turn == seen:
                    return
                seen, progress = self._turn, self._progress
            yield progress

    def cancel(self) -> None:
        """Ask the daemon to stop; `result` then raises `cancelled`, unless the edit ended before."""
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its end, at most `timeout` seconds; whether it has ended."""
        self._thread.join(timeout)
        return self.done

    def result(self, timeout: float | None = None) -> Result:
        """The result, once the edit has ended.

        timeout: seconds to wait; None: no limit. Raises the edit's VelaturaError (`cancelled` where it was
        cancelled), and TimeoutError; the edit goes on after that.
        """
        self.wait(timeout)
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise TimeoutError(f"the edit has not ended within {timeout} s; wait longer, or cancel it")
        return self._result

    def _run(self) -> None:
        result: Result | None = None
        error: BaseException | None = None
        try:
            with connected(self._work.state_dir, start=True, name=NAME) as client:
                result = self._edit(client)
        except BaseException as caught:  # `result` raises it in the caller's thread
            error = caught
        with self._changed:
            self._result, self._error = result, error
            self._changed.notify_all()

    def _edit(self, client: Client) -> Result:
        work, edit = self._work, self._work.edit
        canvas = work.source.width, work.source.height
        draft = proposal(edit, work.method, work.known)
        if draft is not None:
            shown = {"source": work.inputs["source"], "mask": None}
            described = run(
                client,
                draft.edit.on(shown, canvas, lease=True, draft=True),
                shown,
                should_cancel=self._cancelled.is_set,
            )
            caption = proposed(described, f'settings={{"{draft.key}": "…"}}')
            edit = replace(edit, parameters={**edit.parameters, draft.key: caption})
        request = edit.on(work.inputs, canvas, lease=True)
        job = run(
            client,
            request,
            work.inputs,
            on_bytes=lambda done, size: self._tell(replace(self._progress, stage=SENDING)),
            on_event=self._event,
            should_cancel=self._cancelled.is_set,
        )
        told = best_first(job["result"].get("layers", []))
        drawn = [(layer, fetch(client, layer, self._cancelled.is_set)) for layer in told]
        result = Result(job, work.method.kind.insert, (work.source, work.mask), drawn, texts(job["result"]))
        client.ack(job["job"])
        return result

    def _event(self, event: dict[str, Any], payload: Payload) -> None:
        if event.get("type") == "progress":
            stage, fraction = str(event.get("stage", "")), float(event.get("fraction", 0.0))
            self._tell(replace(self._progress, stage=stage, fraction=fraction))
        elif event.get("type") == "preview" and payload is not None:
            with Pillow.open(io.BytesIO(payload), formats=("PNG",)) as picture:
                self._tell(replace(self._progress, preview=np.asarray(picture)))

    def _tell(self, progress: Progress) -> None:
        with self._changed:
            self._progress = progress
            self._turn += 1
            self._changed.notify_all()
