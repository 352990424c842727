"""`python -m velatura.daemon.worker.main`: the process that holds a device and runs edits."""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import os
import time
from pathlib import Path

import numpy as np
from PIL import Image

from velatura.daemon.outgoing import Message
from velatura.daemon.worker.link import Link
from velatura.daemon.worker.parent import die_with_parent
from velatura_protocol.rasters import Rect

log = logging.getLogger(__name__)

DEVICE_LOST = 3  # the exit status after a fault of the device
PREVIEW_SIDE = 256
PREVIEW_EVERY_S = 0.2


def main() -> None:
    """Reads a line of JSON from standard input, tells the broker when torch is loaded, runs jobs."""
    start = json.loads(_first_line())
    die_with_parent(start["broker"])
    state_dir = Path(start["state_dir"])
    _log_to(state_dir / "worker.log")
    link = Link(start["endpoint"], start["token"])
    link.start()

    from velatura.daemon.worker.runner import DeviceLost, Runner  # imports torch

    runner = Runner(state_dir, start["device"], start["placement"], start["attention"])
    link.send({"type": "ready", "device": runner.device, "loaded": []})
    while True:
        task = link.tasks.get()
        hooks = WorkerHooks(link, task["job"], task["attempt"])
        try:
            outcome = runner.run(task["job"], task["request"], hooks)
        except DeviceLost:
            # the broker starts another worker, which tries the job once more
            log.exception("the device has failed while it ran %s; the worker ends", task["job"])
            logging.shutdown()
            os._exit(DEVICE_LOST)  # not by the usual way, which may hang in the driver
        hooks.close()
        link.send({"type": "finished", "job": task["job"], "attempt": task["attempt"], **outcome})


class WorkerHooks:
    """Sends the progress and the previews of one run: a few previews a second, and the last one."""

    def __init__(self, link: Link, job: str, attempt: int) -> None:
        self._link = link
        self._job = job
        self._attempt = attempt
        self._next = 0.0
        self._unsent: tuple[int, np.ndarray, Rect] | None = None

    def cancelled(self) -> bool:
        return self._link.is_cancelled(self._job)

    def progress(self, stage: str, step: int, steps: int, fraction: float) -> None:
        self._say({"type": "progress", "stage": stage, "step": step, "steps": steps, "fraction": fraction})

    def preview(self, step: int, rgb: np.ndarray, rect: Rect) -> None:
        """Sends a preview now, or holds it back.

        Args:
            step: of the run.
            rgb: uint8 [h, w, 3].
            rect: the part of the document that it shows.
        """
        self._unsent = step, rgb, rect
        if time.monotonic() >= self._next:
            self._send_preview(*self._unsent)

    def candidate(self, of: int, layer: Message) -> None:
        self._say({"type": "candidate", "of": of, "layer": layer})

    def close(self) -> None:
        """Sends the last preview, if it was held back."""
        if self._unsent is not None:
            self._send_preview(*self._unsent)

    def _send_preview(self, step: int, rgb: np.ndarray, rect: Rect) -> None:
        image = Image.fromarray(rgb)
        image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        png = io.BytesIO()
        image.save(png, "PNG", compress_level=1)
        shown = {"width": image.width, "height": image.height, "rect": list(rect)}
        self._say({"type": "preview", "step": step, "format": "png", **shown}, png.getvalue())
        self._unsent, self._next = None, time.monotonic() + PREVIEW_EVERY_S

    def _say(self, message: Message, payload: bytes | None = None) -> None:
        self._link.send({**message, "job": self._job, "attempt": self._attempt}, payload)


def _first_line() -> bytes:
    """Reads the first line without a buffer, since another thread reads the rest of the input."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            raise SystemExit("the broker has gone")
        line += byte
    return line


def _log_to(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=1_000_000, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    main()
