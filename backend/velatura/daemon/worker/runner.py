"""One edit after another on one device. The only module of the daemon that imports torch."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Protocol

from velatura.cache.cache import Cache
from velatura.cache.files import remove_trajectories
from velatura.daemon.faults import internal, told_without
from velatura.daemon.outgoing import Message
from velatura.jobs.spool import Spool
from velatura.methods.base import Cancelled
from velatura.methods.execute import Hooks, ResultLayer, execute
from velatura.methods.results import to_wire
from velatura.models.adapters import listing
from velatura.models.catalogue import entries
from velatura.models.control import listing as guides
from velatura.models.store import ModelStore
from velatura.shelf.listing import FOLDER
from velatura.weights import memory, out_of_memory
from velatura.weights.device import choose
from velatura.weights.device_fault import is_device_fault
from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

IN_MEMORY, ON_DISK = 1280 * 1024**2, 1024**3
"""Budgets of the cache in bytes: tensors in memory, files in the state directory."""
SHARE = 8  # at most one part of so many of the device's free memory is for the cache


class JobHooks(Hooks, Protocol):
    """The worker's side of a job."""

    def candidate(self, of: int, layer: Message) -> None:
        """Reports a finished variation, whose blobs are durable. of: variations of the run."""


class DeviceLost(Exception):
    """The device has failed, and this process cannot use it any more: the process has to end."""


class Runner:
    """Runs requests with inputs from the spool and results into it."""

    def __init__(
        self, state_dir: Path, device: str, placement: str = "auto", attention: str = "native"
    ) -> None:
        self.device = choose(device)
        self._spool = Spool(state_dir / "spool")
        there = memory.free(self.device)
        budget = IN_MEMORY if there is None else min(IN_MEMORY, there // SHARE)
        self._cache = Cache(state_dir / "kept", memory=budget, disk=ON_DISK)
        remove_trajectories(state_dir / "trajectories")
        self._shelf = state_dir / FOLDER
        self._models = ModelStore(
            lambda: entries(state_dir),
            self.device,
            memory=state_dir / "digests.json",
            adapters=lambda: listing.listed(state_dir),
            guides=lambda: guides.listed(state_dir),
            placement=placement,
            attention=attention,
        )

    def run(self, job: str, request: Message, hooks: JobHooks) -> Message:
        """Runs a job and returns its outcome for the broker: `state`, `result` or `error`, and `loaded`.

        The blobs of a result are durable on return. Raises `DeviceLost` after a fault of the device.
        """
        is_full = False
        outcome: Message
        try:
            outcome = {"state": "done", "result": self._result(job, request, hooks)}
        except Cancelled:
            outcome = {"state": "cancelled"}
        except Exception as error:  # the edge of the process
            if is_device_fault(error):
                raise DeviceLost from error
            is_full = out_of_memory.is_out_of_memory(error)
            outcome = {"state": "failed", "error": self._error(job, request, error).to_wire()}
        if is_full:  # outside the handler, where the error's frames no longer hold tensors
            self._cache.release()
            self._models.unload()
        return {**outcome, "loaded": [self._models.loaded()] if self._models.loaded() else []}

    def _error(self, job: str, request: Message, error: Exception) -> VelaturaError:
        """The error for the person; an unforeseen one is logged."""
        if out_of_memory.is_out_of_memory(error):
            error = error if isinstance(error, VelaturaError) else out_of_memory.as_velatura_error(error)
            log.warning("out of memory: %s", error.detail)  # not the error, because a log may keep its frames
            return error
        if isinstance(error, VelaturaError):
            return error
        log.error("job %s: %s", job, told_without(error, request))
        return internal(error)

    def _blob(self, digest: str) -> memoryview:
        return memoryview(self._spool.read(digest))

    def _result(self, job: str, request: Message, hooks: JobHooks) -> Message:
        began = time.monotonic()

        def arrived(layer: ResultLayer) -> None:
            hooks.candidate(request["variations"], self._stored(job, layer))

        results = execute(request, self._blob, self._models, hooks, self._cache, self._shelf, arrived)
        layers = [result for result in results if not isinstance(result, str)]
        texts = [result for result in results if isinstance(result, str)]
        result: Message = {
            "seconds": round(time.monotonic() - began, 3),
            "layers": [self._stored(job, layer) for layer in layers],
        }
        if texts:
            result["texts"] = texts
        return result | ({"note": layers[0].note} if layers and layers[0].note else {})

    def _stored(self, job: str, layer: ResultLayer) -> Message:
        """The wire's object of a layer whose blobs are durable now."""
        self._spool.put(layer.data)
        if layer.thumbnail is not None:
            self._spool.put(layer.thumbnail.data)
        return to_wire(job, layer)
