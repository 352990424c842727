"""Questions to the daemon while a dialog is open: one at a time, and the window stays alive. Calls of GIMP
happen in the main thread only, in short steps between the window's own events; calls of the daemon in a
thread. A newer question stops the one before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gi.repository import Gimp, GLib

from velatura_protocol.errors import VelaturaError

from . import edit
from .capture import Capture, Steps
from .session import OnPreview, Session

T = TypeVar("T")


class Window(Protocol):
    """The person's view of a question."""

    def begin(self, question: Question) -> None:
        """The question begins."""

    def progress(self, text: str, fraction: float | None = None) -> None:
        """text: the present work. fraction: 0 … 1; None where it is unknown."""

    def preview(self, png: bytes, rect: tuple | None) -> None:
        """Shows a preview. rect: the part of the image that it shows; None where it is unknown."""

    def clear(self) -> None:
        """Clears the preview."""

    def end(self, sentence: str) -> None:
        """The question is over. sentence: shown to the person; mostly ""."""


@dataclass(frozen=True)
class Question:
    """One question to the daemon.

    read: captures the pixels in GIMP. ask(session, captured, is_stopped, on_preview): runs in a thread;
    `done` gets its answer in the main thread, and returns a sentence to show, or "". over: called once, at an
    answer, a failure or a stop. holds_run: whether Run has to wait for its answer. stopped: called before
    `over` where the person or a newer question has stopped it.
    """

    read: Callable[[], Steps[Capture]]
    ask: Callable[[Session, Capture, Callable[[], bool], OnPreview], Any]
    done: Callable[[Any], str]
    over: Callable[[], None]
    holds_run: bool = False
    stopped: Callable[[], None] = lambda: None


class Conversation:
    """Asks questions and shows their progress in `window`."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._stop = threading.Event()
        self.question: Question | None = None  # the one under way
        self.changes = 0  # answers that have changed the input of a run

    def ask(self, question: Question) -> None:
        """Begins a question and stops the running one."""
        self.stop()
        self._stop, self.question = threading.Event(), question
        self.window.begin(question)
        is_over = self._stop.is_set
        steadily(question.read(), lambda captured: self._send(question, captured), self._fail, is_over)

    def stop(self) -> None:
        """Stops the running question, if there is one, and drops its answer."""
        if self.question is not None:
            self.question.stopped()
            self._end("")

    def _end(self, sentence: str) -> None:
        question, self.question = self.question, None
        self._stop.set()
        self.window.end(sentence)
        question.over()

    def _fail(self, error: Exception) -> None:
        self._end(edit.sentence(error))

    def _send(self, question: Question, captured: Capture) -> None:
        stop, window = self._stop, self.window

        def later(work: Callable, *arguments: object) -> None:
            GLib.idle_add(lambda: None if stop.is_set() else work(*arguments))

        session = Session(edit.FOLDER, f"gimp {Gimp.version()}", lambda *how: later(window.progress, *how))

        def talk() -> None:
            try:
                with session:
                    edit.refresh(session)
                    answer = question.ask(
                        session, captured, stop.is_set, lambda *what: later(window.preview, *what)
                    )
            except Exception as error:
                later(self._fail, error)
            else:
                later(self._finish, question, answer)

        # A daemon thread: closing the dialog may end the process, and the job, which is a lease, with it.
        threading.Thread(target=talk, daemon=True).start()

    def _finish(self, question: Question, answer: object) -> None:
        try:
            self.changes += question.holds_run
            sentence = question.done(answer)
        except Exception as error:
            sentence = edit.sentence(error)
        self._end(sentence)


def in_main(work: Callable[[], T], is_stopped: Callable[[], bool]) -> T:
    """Calls `work` in the main thread, for a thread that asks; returns its result or raises its exception.

    Raises `cancelled` where the question was stopped meanwhile.
    """
    future: Future[T] = Future()

    def act() -> None:
        try:
            if is_stopped():
                raise VelaturaError("cancelled", "The edit was cancelled.")
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    GLib.idle_add(act)
    return future.result()


def steadily(
    steps: Steps,
    done: Callable[[Any], None],
    failed: Callable[[Exception], None],
    is_over: Callable[[], bool],
) -> None:
    """Runs the steps one by one, whenever the window is idle, until `is_over`. Then calls `done` with their
    result, or `failed` with their exception or that of `done`.
    """

    def step() -> bool:
        if is_over():
            steps.close()
            return False
        try:
            next(steps)
        except StopIteration as end:
            _call(done, end.value)
        except Exception as error:
            failed(error)
        else:
            return True
        return False

    def _call(work: Callable, value: object) -> None:
        try:
            work(value)
        except Exception as error:
            failed(error)

    GLib.idle_add(step)
