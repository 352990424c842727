"""Errors that more than one part of the daemon raises, and the edge that keeps a loop alive after a fault."""

from __future__ import annotations

import errno
import logging
import re
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from velatura_protocol.errors import VelaturaError
from velatura_protocol.reading import as_list, as_object

_NO_HANDLES = {errno.EMFILE, errno.ENFILE}
_LOGGED_AGAIN_S = 60.0  # the same fault is logged at most once in this time
_WORD = re.compile(r"[^\W_]{3,}")
_PUBLIC = {"type", "job", "method", "model", "digest", "channels", "dtype", "profile"}
_SHORTEST_S, _LONGEST_S = 0.01, 1.0


def internal(error: BaseException) -> VelaturaError:
    """The error for an unforeseen fault; `busy` where the system has no file handles left, which passes."""
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


def told_without(error: BaseException, request: object) -> str:
    """The traceback of an error for a log. The text of an exception that quotes the request is left out: the
    prompt and the other words of an edit are private."""
    words = {word for text in _texts(request) for word in _WORD.findall(text.casefold())}
    told: list[str] = []
    known: BaseException | None = error
    while known is not None and len(told) < 8:
        text = str(known)
        quotes = not words.isdisjoint(_WORD.findall(text.casefold()))
        said = "(its text quotes the edit)" if quotes else text[:2000]
        told.append("".join(traceback.format_tb(known.__traceback__)) + f"{type(known).__name__}: {said}")
        known = known.__cause__ or (None if known.__suppress_context__ else known.__context__)
    return "\nfollowed by\n".join(reversed(told))


def _texts(value: object) -> Iterator[str]:
    """All texts in a request, but for names that say nothing of the person's picture."""
    items = as_list(value)
    if isinstance(value, str):
        yield value
    for item in items or ():
        yield from _texts(item)
    for key, item in (as_object(value) or {}).items():
        if key not in _PUBLIC:
            yield from _texts(item)


class Edge:
    """The edge of a loop: it logs a fault in one part of a pass, and the loop goes on.

    A fault that comes again at every pass neither fills the log (its traceback is written once a minute, with
    its count) nor keeps a processor busy (see `rest`). One thread uses an `Edge`.
    """

    def __init__(self, log: logging.Logger, name: str) -> None:
        """name: of the loop, for the log."""
        self._log = log
        self._name = name
        self._logged: dict[tuple[str, type, str], tuple[float, int]] = {}  # when logged, count since
        self._faults = False
        self._rest = 0.0

    @contextmanager
    def guarded(self, what: str, *, lasting: bool = False) -> Generator[None]:
        """Logs any `Exception` raised inside, and suppresses it.

        lasting: the fault may come again at the next pass, even without new input.
        """
        try:
            yield
        except Exception as error:
            self._faults |= lasting
            self.note(what, error)

    def note(self, what: str, error: BaseException) -> None:
        """Logs a fault, unless it was logged within the last minute."""
        now, kind = time.monotonic(), (what, type(error), str(error)[:200])
        written, since = self._logged.get(kind, (-_LOGGED_AGAIN_S, 0))
        if now - written < _LOGGED_AGAIN_S:
            self._logged[kind] = written, since + 1
            return
        if len(self._logged) > 64:
            self._logged.clear()
        self._logged[kind] = now, 0
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
