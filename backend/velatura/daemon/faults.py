"""Errors that more than one part of the daemon raises, and the edge at which a loop outlives a fault."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from velatura_protocol.errors import VelaturaError

_NO_HANDLES = {errno.EMFILE, errno.ENFILE}
_TOLD_AGAIN_S = 60.0  # the same fault is written down at most so often
_SHORTEST_S, _LONGEST_S = 0.01, 1.0


def internal(error: BaseException) -> VelaturaError:
    """A fault of ours; `busy` where the system has no file handles left, which passes."""
    if isinstance(error, OSError) and error.errno in _NO_HANDLES:
        sentence = "Too many programs are connected to Velatura; close some and try again."
        return VelaturaError("busy", sentence, retryable=True, detail=repr(error))
    sentence = "Something failed in the Velatura daemon; its log says what."
    return VelaturaError("internal", sentence, detail=repr(error))


def no_session() -> VelaturaError:
    return VelaturaError("no-session", "The daemon does not know this client any more.", retryable=True)


def no_number(kind: str) -> VelaturaError:
    """A request without `seq`."""
    return VelaturaError("bad-message", "A message has no number; update the plugin.", detail=kind)


def unknown_message(kind: str) -> VelaturaError:
    return VelaturaError(
        "unknown-message", "The daemon is too old for this; update it.", detail=f"{kind:.80}"
    )


class Edge:
    """The edge of a loop: a fault in one part of a pass is written down, and the loop goes on.

    A fault that comes again at every pass neither fills the log (its traceback is written once a minute, with
    how often it came) nor keeps a processor busy (see `rest`). One thread uses an `Edge`.
    """

    def __init__(self, log: logging.Logger, name: str) -> None:
        """name: of the loop, for the log."""
        self._log = log
        self._name = name
        self._told: dict[tuple, tuple[float, int]] = {}  # when written, how often since
        self._faults = False
        self._rest = 0.0

    @contextmanager
    def guarded(self, what: str, *, lasting: bool = False) -> Iterator[None]:
        """Whatever `Exception` is raised inside ends here.

        lasting: it may come again at the next pass, though nothing new has come in.
        """
        try:
            yield
        except Exception as error:
            self._faults |= lasting
            self.note(what, error)

    def note(self, what: str, error: Exception) -> None:
        """Writes a fault down, unless it was written down just now."""
        now, kind = time.monotonic(), (what, type(error), str(error)[:200])
        written, since = self._told.get(kind, (-_TOLD_AGAIN_S, 0))
        if now - written < _TOLD_AGAIN_S:
            self._told[kind] = written, since + 1
            return
        if len(self._told) > 64:
            self._told.clear()
        self._told[kind] = now, 0
        again = f" ({since} times more since it was last written here)" if since else ""
        if isinstance(error, VelaturaError):
            text = f"{error.code}: {error.message} {error.detail}"
            self._log.error("%s, %s: %s%s", self._name, what, text, again)
        else:
            self._log.error("%s, %s%s", self._name, what, again, exc_info=error)

    def rest(self) -> float:
        """Seconds to wait before the next pass: 0 after a good one, ever longer after lasting faults."""
        self._rest = min(max(2 * self._rest, _SHORTEST_S), _LONGEST_S) if self._faults else 0.0
        self._faults = False
        return self._rest
