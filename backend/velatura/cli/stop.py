"""`velatura stop`: ends the daemon, even one that does not answer, and returns once it has ended."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import suppress
from pathlib import Path

from velatura.cli import exits
from velatura.client.connection import connected
from velatura.daemon import lock
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import CONNECTION_FILE, state_dir

SECONDS = 30.0  # longer than the daemon's own limit
KILLED_SECONDS = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Stop the daemon; it resumes unfinished jobs at its next start."""
    folder = state_dir(options.state_dir)
    reason = _ask(folder)
    if reason is None:
        if lock.is_free(folder, SECONDS):
            print("The daemon has stopped.")
            return exits.OK
        print("The daemon was asked to stop but still runs.")
    owner = lock.owner(folder)
    if owner is None:
        if reason is not None and reason.code not in ("not-running", "timeout"):
            raise reason
        print("No daemon was running.")
        return exits.OK
    if owner == lock.UNKNOWN:
        raise VelaturaError(
            "timeout",
            f"A daemon of an unknown process holds {folder}; end the process `velatura serve` by hand.",
            hint=str(folder / lock.LOCK_FILE),
        )
    _end(folder, owner)
    return exits.OK


def _ask(folder: Path) -> VelaturaError | None:
    """Asks the daemon to stop. Returns the error if it could not be asked."""
    try:
        with connected(folder, start=False) as client:
            client.request({"type": "shutdown"})
    except VelaturaError as error:
        return error
    return None


def _end(folder: Path, pid: int) -> None:
    """Ends the process that holds the lock: by SIGTERM, then by SIGKILL."""
    print(f"The daemon (process {pid}) does not answer; ending it.")
    for number, seconds in ((signal.SIGTERM, SECONDS), (getattr(signal, "SIGKILL", None), KILLED_SECONDS)):
        if number is None:
            continue
        try:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        except PermissionError:
            raise VelaturaError("timeout", f"Process {pid} is another user's; ask them to end it.") from None
        if lock.is_free(folder, seconds):
            with suppress(OSError):  # a folder, which a client takes for no daemon either
                (folder / CONNECTION_FILE).unlink()  # else clients start another
            print("The daemon has stopped.")
            return
    raise VelaturaError(
        "timeout",
        f"Process {pid} cannot be ended, perhaps because a disk does not answer; restart the machine.",
    )
