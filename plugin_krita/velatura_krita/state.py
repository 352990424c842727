"""The plugin's state, without widgets; dockers watch and draw it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from .qt import QtCore, Signal
from .velatura_protocol.catalogue import Catalogue
from .velatura_protocol.messages import minor_version
from .velatura_protocol.remaining import Remaining

#: How many ended jobs the list keeps.
KEPT = 20
DRAFTS = 2  #: the minor version of the protocol that brought drafts


class Daemon(Enum):
    """The connection to the daemon."""

    SEARCHING = "searching"
    ABSENT = "absent"
    STARTING = "starting"
    CONNECTED = "connected"
    LOST = "lost"
    REFUSED = "refused"


class Phase(Enum):
    """The phase of a job; the value is its text for the person."""

    READING = "Reading the layer"
    SENDING = "Sending"
    QUEUED = "Waiting for its turn"
    RUNNING = "Working"
    RECEIVING = "Receiving"
    INSERTING = "Inserting"
    HOMELESS = "Finished: open its picture to get it"
    KEPT = "Finished: kept, and tried again"
    DONE = "Done"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        return self in (Phase.DONE, Phase.FAILED, Phase.CANCELLED)

    @property
    def active(self) -> bool:
        """Whether work on it is going on."""
        return not (self.ended or self.waits)

    @property
    def waits(self) -> bool:
        """Whether there is a result that cannot be inserted now."""
        return self in (Phase.HOMELESS, Phase.KEPT)

    @property
    def cancellable(self) -> bool:
        """Whether Cancel would save work: a finished result is inserted anyway."""
        return self in (Phase.READING, Phase.SENDING, Phase.QUEUED, Phase.RUNNING)


@dataclass
class Job:
    """One edit as the person sees it."""

    id: str
    title: str
    about: str = ""  #: the prompt, or the name of the selected word
    document: str = ""  #: the document's name, for the person
    phase: Phase = Phase.READING
    stage: str = ""  #: the daemon's word for its present work
    fraction: float | None = None  #: 0 … 1; None while nothing is known
    left: str = ""  #: how long the daemon's work will still take, or nothing
    preview: bytes = b""  #: a PNG, or nothing yet
    shown: Sequence[int] | None = None  #: the document's pixels that the preview shows, if that is known
    selected: Sequence[int] | None = None  #: the bounds of the selection that is edited
    obstacle: str = ""  #: one sentence on the step that the person has to finish before it goes on
    frame: int | None = None  #: of an animated layer
    message: str = ""  #: one sentence about how it ended, or why it waits
    cancelling: bool = False
    created: float = field(default_factory=time.time)
    remaining: Remaining = field(default_factory=Remaining, repr=False, compare=False)

    @property
    def label(self) -> str:
        """A description in one line, different from the other jobs'."""
        return " ".join(self.about.split()) or self.title

    def describe(self) -> str:
        """Its present work, in a few words."""
        if self.cancelling and not self.phase.ended:
            return "Cancelling"
        if self.obstacle and not self.phase.ended:
            return self.obstacle
        if self.phase is Phase.RUNNING and self.stage:
            return f"{self.stage} · {self.left}" if self.left else self.stage
        return self.phase.value


class State(QtCore.QObject):
    """Observable: each change is made by a method that emits a signal."""

    daemonChanged = Signal()
    methodsChanged = Signal()
    jobsChanged = Signal()  # a job came or went
    jobChanged = Signal(str)  # a job's id
    currentChanged = Signal()
    statusChanged = Signal()
    draftChanged = Signal()
    previewsChanged = Signal()
    wordsWanted = Signal(str)  # the words of a model are wanted; its id

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self.daemon = Daemon.SEARCHING
        self.daemon_text = "Looking for the daemon"
        self.daemon_detail = ""
        self.known = Catalogue()  #: the daemon's methods and models; empty until it has sent them
        self.jobs: dict[str, Job] = {}
        self.current = ""  #: the id of the job whose progress is shown
        self.status = ""
        self.status_bad = False
        self.draft: Job | None = None  #: the shown draft; it is no edit, and in no list
        self.knows_drafts = False  #: the daemon knows drafts
        self.gives_drafts = True  #: the chosen method gives them
        self.words: dict[str, list[str]] = {}  #: that each model knows, once they were wanted
        self.wants_previews = True  #: the person wants to see them while a slider is moved

    def set_daemon(self, daemon: Daemon, text: str, detail: str) -> None:
        self.daemon, self.daemon_text, self.daemon_detail = daemon, text, detail
        self.daemonChanged.emit()

    def set_protocol(self, version: str) -> None:
        self.knows_drafts = version != "" and minor_version(version) >= DRAFTS
        self.previewsChanged.emit()

    def set_gives_drafts(self, gives: bool) -> None:
        self.gives_drafts = gives
        self.previewsChanged.emit()

    def want_previews(self, on: bool) -> None:
        self.wants_previews = on
        self.previewsChanged.emit()

    def want_words(self, model: str) -> None:
        """The words of this model are wanted, unless they are known."""
        if model and model not in self.words:
            self.wordsWanted.emit(model)

    @property
    def can_draft(self) -> bool:
        """Whether a draft may be asked for."""
        return self.knows_drafts and self.gives_drafts

    @property
    def previews(self) -> bool:
        """Whether drafts are to be asked for."""
        return self.can_draft and self.wants_previews

    def set_draft(self, draft: Job | None) -> None:
        if draft is not self.draft:
            self.draft = draft
            self.draftChanged.emit()

    def change_draft(self, **changes: object) -> None:
        if self.draft is not None:
            for name, value in changes.items():
                setattr(self.draft, name, value)
            self.draftChanged.emit()

    def set_known(self, known: Catalogue) -> None:
        if known != self.known:
            self.known = known
            self.methodsChanged.emit()

    def say(self, sentence: str, bad: bool = False) -> None:
        if (sentence, bad) != (self.status, self.status_bad):
            self.status, self.status_bad = sentence, bad
            self.statusChanged.emit()

    def add_job(self, job: Job, show: bool = True) -> None:
        self.jobs[job.id] = job
        ended = [j.id for j in self.jobs.values() if j.phase.ended]
        for old in ended[: max(0, len(ended) - KEPT)]:
            del self.jobs[old]
        if show:
            self.current = job.id
        self.jobsChanged.emit()
        self.currentChanged.emit()

    def change_job(self, job_id: str, **changes: object) -> None:
        """Sets attributes of a job; a job that is not listed is ignored."""
        job = self.jobs.get(job_id)
        if job is None:
            return
        for name, value in changes.items():
            setattr(job, name, value)
        self.jobChanged.emit(job_id)

    def show_job(self, job_id: str) -> None:
        if job_id in self.jobs and job_id != self.current:
            self.current = job_id
            self.currentChanged.emit()

    def cancellable(self) -> Job | None:
        """The job that Cancel ends: the shown one, else the newest that can be cancelled."""
        able = [j for j in self.jobs.values() if j.phase.cancellable and not j.cancelling]
        shown = self.jobs.get(self.current)
        return shown if shown in able else next(reversed(able), None)
