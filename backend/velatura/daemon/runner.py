"""One edit after another on one device. The only module of the daemon that imports torch."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import torch

from velatura.daemon.faults import internal
from velatura.inversion.cache import Memory
from velatura.jobs.spool import Spool
from velatura.methods.base import Cancelled
from velatura.methods.execute import Hooks, execute
from velatura.models.catalogue import entries
from velatura.models.store import ModelStore
from velatura.ranking.rank import Place
from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

_KEPT = (256 * 1024**2, 1024**3, 1024**3)
"""Bytes of trajectories in memory, of features there, and of trajectories in the state directory."""


class Runner:
    """Runs requests with inputs from the spool and results into it."""

    def __init__(self, state_dir: Path, device: str) -> None:
        self.device = _device(device)
        self._spool = Spool(state_dir / "spool")
        self._memory = Memory(state_dir / "trajectories", *_KEPT)
        self._models = ModelStore(lambda: entries(state_dir), self.device, memory=state_dir / "digests.json")

    def run(self, job: str, request: dict, hooks: Hooks) -> dict:
        """The outcome, for the broker: `state`, `result` or `error`, and `loaded`. The blobs of a result are
        durable on return."""
        try:
            outcome = {"state": "done", "result": self._result(job, request, hooks)}
        except Cancelled:
            outcome = {"state": "cancelled"}
        except VelaturaError as error:
            outcome = {"state": "failed", "error": error.to_wire()}
        except Exception as error:  # the edge of the process
            if is_out_of_memory(error):
                log.warning("out of memory: %s", error)
                outcome = {
                    "state": "failed",
                    "error": {**_OUT_OF_MEMORY.to_wire(), "detail": str(error)[:500]},
                }
                self._memory.release()
                self._models.unload()
            else:
                log.exception("job %s", job)
                outcome = {"state": "failed", "error": internal(error).to_wire()}
        return {**outcome, "loaded": [self._models.loaded()] if self._models.loaded() else []}

    def _result(self, job: str, request: dict, hooks: Hooks) -> dict:
        began = time.monotonic()
        results = execute(request, self._spool.read, self._models, hooks, self._memory)
        layers = [result for result in results if not isinstance(result, str)]
        texts = [result for result in results if isinstance(result, str)]
        for layer in layers:
            self._spool.put(layer.data)
        result = {
            "seconds": round(time.monotonic() - began, 3),
            "layers": [
                {
                    "index": layer.index,
                    "title": layer.title,
                    "seed": layer.seed,
                    **({"kind": layer.kind} if layer.kind else {}),
                    "raster": layer.raster,
                    **_place(layer.place),
                    "recipe": {**layer.recipe, "job": job, "variation": layer.index, **_place(layer.place)},
                }
                for layer in layers
            ],
        }
        if texts:
            result["texts"] = texts
        return result | ({"note": layers[0].note} if layers and layers[0].note else {})


def _place(place: Place | None) -> dict:
    """As the wire has it; nothing for a result that was not ranked."""
    return {} if place is None else {"rank": place.rank, "score": place.score, "scores": place.scores}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that the device or the machine has too little memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch's allocator for the CPU has no exception of its own
    said = str(error).lower()
    return isinstance(error, RuntimeError) and ("not enough memory" in said or "out of memory" in said)


def _device(wanted: str) -> str:
    if wanted != "auto":
        torch.empty(1, device=wanted)  # fails here rather than in the first edit
        return wanted
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


_OUT_OF_MEMORY = VelaturaError(
    "out-of-memory",
    "There is too little memory for this edit; select less, or make fewer variations.",
    retryable=True,
)
