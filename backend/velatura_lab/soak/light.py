"""A runner without networks, so that a worker starts in a moment, and many can be killed.

The worker's process, its link to the broker and its use of the spool are the product's. Only the computation
is replaced: it is the negative of the layer's bytes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from velatura.jobs.spool import Spool
from velatura_lab.soak.method import STEP_S, STEPS
from velatura_protocol.errors import VelaturaError


class DeviceLost(Exception):
    """Never raised here."""


class Runner:
    """As `velatura.daemon.worker.runner.Runner`."""

    def __init__(self, state_dir: Path, device: str, placement: str = "auto", attention: str = "native"):
        self.device = "cpu"
        self._spool = Spool(state_dir / "spool")

    def run(self, job: str, request: dict[str, Any], hooks: Any) -> dict[str, Any]:
        """Runs a job and returns its outcome for the broker."""
        try:
            return {"state": "done", "result": self._result(job, request, hooks), "loaded": []}
        except InterruptedError:
            return {"state": "cancelled", "loaded": []}
        except Exception as error:  # the edge of the process
            if not isinstance(error, VelaturaError):
                error = VelaturaError("internal", "The edit failed.", detail=repr(error))
            return {"state": "failed", "error": error.to_wire(), "loaded": []}

    def _result(self, job: str, request: dict[str, Any], hooks: Any) -> dict[str, Any]:
        raster = request["inputs"]["source"]
        data = np.frombuffer(self._spool.read(raster["digest"]), np.uint8)
        for step in range(1, STEPS + 1):
            if hooks.cancelled():
                raise InterruptedError
            hooks.progress("Editing", step, STEPS, step / STEPS)
            time.sleep(STEP_S)
        digest = self._spool.put((255 - data).tobytes())
        layer = {
            "index": 0,
            "title": "Negative",
            "seed": request["seed"],
            "raster": {**raster, "digest": digest},
            "recipe": {"job": job, **request},
        }
        return {"seconds": 0.1, "layers": [layer]}
