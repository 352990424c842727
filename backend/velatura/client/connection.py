"""Connects to the daemon, and starts it where none runs."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura.files.programs import program
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.launch import start_daemon

SERVE = program("velatura", "serve")
START_SECONDS = 60.0


@contextlib.contextmanager
def connected(state_dir: Path, start: bool, name: str = "velatura command line") -> Generator[Client]:
    """Yield a connected client and close it afterwards.

    Args:
        state_dir: the daemon's.
        start: whether to start the daemon where none runs.
        name: the client's, for the daemon's log.

    Raises VelaturaError, such as `not-running` (only without `start`) and `unavailable`.
    """
    client = _client(state_dir, name)
    try:
        try:
            client.connect()
        except VelaturaError as error:
            if error.code != "not-running" or not start:
                raise
            start_daemon(list(SERVE), state_dir, START_SECONDS)
            # The first client holds an event that says that there was no daemon.
            client = _client(state_dir, name)
            client.connect()
        yield client
    finally:
        client.close()


def _client(state_dir: Path, name: str) -> Client:
    return Client(state_dir, name=name, dealer=PyzmqDealer)
