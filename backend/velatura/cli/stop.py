"""`velatura stop`: returns when the daemon is gone, whatever has become of it."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import suppress
from pathlib import Path

from velatura.cli import exits
from velatura.cli.connection import connected
from velatura.daemon import lock
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir

SECONDS = 30.0  # longer than the daemon gives itself
KILLED_SECONDS = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Stop the daemon; jobs under way go on at its next start."""
    folder = state_dir(options.state_dir)
    reason = _ask(folder)
    if reason is None:
        if lock.is_free(folder, SECONDS):
            print("The daemon has stopped.")
            return exits.OK
        print("The daemon was asked to stop and has not done so.")
    owner = lock.owner(folder)
    if owner is None:
        if reason is not None and reason.code not in ("not-running", "timeout"):
            raise reason
        print("No daemon was running.")
        return exits.OK
    if owner == lock.UNKNOWN:
        raise VelaturaError(
            "timeout",
            f"A daemon holds {folder}, and which process it is cannot be told; end `velatura serve` by hand.",
            hint=str(folder / lock.LOCK_FILE),
        )
    _end(folder, owner)
    return exits.OK


def _ask(folder: Path) -> VelaturaError | None:
    """Asks the daemon to stop; why that could not be done, or None."""
    try:
        with connected(folder, start=False) as client:
            client.request({"type": "shutdown"})
    except VelaturaError as error:
        return error
    return None


def _end(folder: Path, pid: int) -> None:
    """Ends the process that holds the lock: with a request first, then without."""
    print(f"The daemon (process {pid}) does not answer, so it is ended.")
    for number, seconds in ((signal.SIGTERM, SECONDS), (getattr(signal, "SIGKILL", None), KILLED_SECONDS)):
        if number is None:
            continue
        try:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        except PermissionError:
            raise VelaturaError("timeout", f"Process {pid} is another user's; ask them to end it.") from None
        if lock.is_free(folder, seconds):
            print("The daemon has stopped.")
            return
    raise VelaturaError(
        "timeout", f"Process {pid} cannot be ended, as where a disk does not answer; start the machine anew."
    )
