"""Runs one job of the daemon for a command, with a bar, and fetches its layers."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from typing import Any

from velatura.cli.interrupt import Interrupt
from velatura.cli.progress import Progress
from velatura.files.images import Layer
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Request, blobs


def run_job(
    client: Client, request: Request, inputs: Mapping[str, Pixels | None], interrupt: Interrupt
) -> dict[str, Any]:
    """Submit a job and wait for it; return it, done. Raises its error, or `cancelled`."""
    identifier = str(uuid.uuid4())
    progress = Progress()
    is_cancelling = False

    def should_cancel() -> bool:
        nonlocal is_cancelling
        if interrupt.asked() and not is_cancelling:
            is_cancelling = True
            progress.say("Cancelling the edit.")
        return is_cancelling

    try:
        try:
            wire, data = request.to_wire(), blobs(inputs)
            client.submit(identifier, wire, data, on_bytes=progress.sent, should_stop=should_cancel)
        except VelaturaError as error:
            if error.code != "cancelled":
                raise
            with contextlib.suppress(VelaturaError):  # the daemon may not have it yet
                client.cancel(identifier)
            raise _cancelled(interrupt) from error
        job = client.wait(identifier, on_event=progress.event, should_cancel=should_cancel)
    finally:
        progress.close()
    if job["state"] == "failed":
        raise VelaturaError.from_wire(job["error"])
    if job["state"] == "cancelled":
        raise _cancelled(interrupt)
    return job


def _cancelled(interrupt: Interrupt) -> VelaturaError:
    why = "it took longer than --timeout allows" if interrupt.timed_out else "nothing was written"
    return VelaturaError("cancelled", f"The edit was cancelled; {why}.")


def fetch(client: Client, job: str, layer: dict[str, Any], interrupt: Interrupt) -> Layer:
    """The pixels of a layer of a job's result, from the daemon. Raises `cancelled`."""
    try:
        data = client.fetch(layer["raster"]["digest"], job=job, should_stop=interrupt.asked)
    except VelaturaError as error:
        if error.code != "cancelled":
            raise
        raise _cancelled(interrupt) from error
    return Layer.from_result(layer, data)
