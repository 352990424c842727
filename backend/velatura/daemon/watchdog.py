"""Ends a process that cannot end by itself."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from contextlib import suppress

log = logging.getLogger(__name__)


class Watchdog(threading.Thread):
    """Once woken, it ends the process after `seconds`; the kernel then releases the lock.

    The constructor starts the thread: a process in trouble may not be able to start one.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._seconds = seconds
        self._woken, self._at_rest = threading.Event(), threading.Event()
        self.start()

    def wake(self) -> None:
        """Starts the time. May be called from a signal handler, and more than once."""
        self._woken.set()

    def rest(self) -> None:
        """Stops the time: everything has ended in good order."""
        self._at_rest.set()
        self._woken.set()

    def run(self) -> None:
        self._woken.wait()
        if not self._at_rest.wait(self._seconds):
            end_at_once(f"the daemon did not end within {self._seconds:g} s")


def end_at_once(why: str) -> None:
    """Ends the process with status 1, whatever its threads do. Acknowledged data is durable already."""
    with suppress(Exception):
        log.critical("%s; it is ended now", why)
        faulthandler.dump_traceback(all_threads=True)  # where they hang, on standard error
        logging.shutdown()
    os._exit(1)
