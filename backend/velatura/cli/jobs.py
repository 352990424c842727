"""Runs one job of the daemon for a command, with a bar, and fetches its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from velatura.cli.interrupt import Interrupt
from velatura.cli.progress import Progress
from velatura.client import running
from velatura.files.images import Layer
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Request


def run_job(
    client: Client,
    request: Request,
    inputs: Mapping[str, Pixels | None],
    interrupt: Interrupt,
    *,
    is_quiet: bool = False,
) -> dict[str, Any]:
    """Submit a job and wait for it; return it, done. Raises its error, or `cancelled`.

    Args:
        client: connected.
        request: the job's.
        inputs: its pixels.
        interrupt: cancels it.
        is_quiet: whether nothing is shown.
    """
    progress = Progress(is_quiet=is_quiet)
    is_cancelling = False

    def should_cancel() -> bool:
        nonlocal is_cancelling
        if interrupt.asked() and not is_cancelling:
            is_cancelling = True
            progress.say("Cancelling the edit.")
        return is_cancelling

    try:
        return running.run(
            client,
            request,
            inputs,
            on_bytes=progress.sent,
            on_event=progress.event,
            should_cancel=should_cancel,
        )
    except VelaturaError as error:
        raise _told(error, interrupt) from error
    finally:
        progress.close()


def fetch(client: Client, job: str, layer: dict[str, Any], interrupt: Interrupt) -> Layer:
    """The pixels of a layer of a job's result, from the daemon. Raises `cancelled`."""
    try:
        return running.fetch(client, job, layer, interrupt.asked)
    except VelaturaError as error:
        raise _told(error, interrupt) from error


def _told(error: VelaturaError, interrupt: Interrupt) -> VelaturaError:
    """The error; a cancelled edit's says why."""
    if error.code != "cancelled":
        return error
    why = "it took longer than --timeout allows" if interrupt.timed_out else "nothing was written"
    return VelaturaError("cancelled", f"The edit was cancelled; {why}.")
