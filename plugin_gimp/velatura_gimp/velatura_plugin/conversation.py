"""What is asked of the daemon while a dialog is open: one question at a time, and the window stays alive.

GIMP is spoken to in the main thread alone, in short steps between the window's own events; the daemon in a
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
    """Where the person sees how a question is getting on."""

    def begin(self, question: Question) -> None:
        """It has been asked."""

    def progress(self, text: str, fraction: float | None = None) -> None:
        """text: what is being done. fraction: 0 … 1 of it, None where nobody knows."""

    def preview(self, png: bytes, rect: tuple | None) -> None:
        """What comes of it, as far as it has come. rect: the part of the image it shows, if that is known."""

    def clear(self) -> None:
        """What came of it is of no use any more."""

    def end(self, sentence: str) -> None:
        """It is over, and that is what there is to say of it; mostly nothing."""


@dataclass(frozen=True)
class Question:
    """One thing to ask.

    read: takes what is sent from GIMP. ask(session, captured, is_stopped, on_preview): in a thread; its
    answer goes to `done`, in the main one, which returns a sentence to be shown, or "". over: called once,
    when it is answered, has failed or been stopped. holds_run: whether its answer changes what would be run.
    stopped: called before `over` where the person or a newer question has stopped it.
    """

    read: Callable[[], Steps[Capture]]
    ask: Callable[[Session, Capture, Callable[[], bool], OnPreview], Any]
    done: Callable[[Any], str]
    over: Callable[[], None]
    holds_run: bool = False
    stopped: Callable[[], None] = lambda: None


class Conversation:
    """Asks questions and shows in `window` how they get on."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._stop = threading.Event()
        self.question: Question | None = None  # the one under way
        self.changes = 0  # answers that have changed what would be run

    def ask(self, question: Question) -> None:
        """Begins with a question; stops the one under way."""
        self.stop()
        self._stop, self.question = threading.Event(), question
        self.window.begin(question)
        is_over = self._stop.is_set
        steadily(question.read(), lambda captured: self._send(question, captured), self._fail, is_over)

    def stop(self) -> None:
        """Stops the question under way, if there is one; nothing more is heard of it."""
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
    """Has the main thread call `work`; for a thread that asks. Returns and raises what `work` does.

    Raises `cancelled` where the question has been stopped by then.
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
    """Takes the steps one by one, whenever the window has nothing else to do, until `is_over`.

    Then calls `done` with what they come to, or `failed`, which is also told of what `done` raises.
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
