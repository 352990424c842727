"""`velatura stop`: returns when the daemon is gone."""

from __future__ import annotations

import argparse

import filelock

from velatura.cli import exits
from velatura.cli.connection import connected
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir

SECONDS = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Stop the daemon; jobs under way go on at its next start."""
    folder = state_dir(options.state_dir)
    try:
        with connected(folder, start=False) as client:
            client.request({"type": "shutdown"})
    except VelaturaError as error:
        if error.code != "not-running":
            raise
        print("No daemon was running.")
        return exits.OK
    try:
        # The daemon holds this lock as long as it lives.
        with filelock.FileLock(folder / "daemon.lock", timeout=SECONDS):
            print("The daemon has stopped.")
    except filelock.Timeout as error:
        raise VelaturaError("timeout", "The daemon has not stopped yet; its log says why.") from error
    return exits.OK
