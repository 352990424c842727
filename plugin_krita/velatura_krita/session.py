"""What happens between the docker, the document and the network thread; on the user interface's thread."""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any

from . import again, recipes
from .capture import NO_PICTURE, Capture, capture
from .drafts import Drafts
from .edges import FAULT, edge
from .insert import Layer, insert
from .journal import Entry
from .masks import deliver
from .places import find
from .proposals import Proposals
from .qt import QtCore, Signal
from .state import Daemon, Job, Phase, State
from .steps import Stepper
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.rasters import Raster
from .velatura_protocol.results import best_because, best_first
from .wish import Wish

log = logging.getLogger("velatura.krita")

PHASES = {"uploading": Phase.SENDING, "queued": Phase.QUEUED, "started": Phase.RUNNING}
LOOK = 1000  #: milliseconds between two looks for the documents of results that wait


class Session(QtCore.QObject):
    """One for the whole of Krita, whatever the number of its windows."""

    _news = Signal(str, object)

    def __init__(self, host: Any, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self.host = host
        self.state = State(self)
        self.stepper = Stepper(self)
        self.network: Any = None
        self.drafts, self.proposals = Drafts(self), Proposals(self)
        self._entries: dict[str, Entry] = {}
        self._finished: dict[str, dict] = {}  #: done jobs whose results are to be inserted
        self._fetching: set[str] = set()
        self._news.connect(self._on_news, QtCore.Qt.ConnectionType.QueuedConnection)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._look)

    def start(self, network: Any) -> None:
        """Use `network` (a `network.Network` made with `self.emit_news`) and start it."""
        self.network = network
        network.start()
        self._timer.start()

    def emit_news(self, name: str, data: Any) -> None:
        """Called by the network thread: brings the news to this thread's event loop."""
        self._news.emit(name, data)

    def close(self) -> None:
        self._timer.stop()
        self.stepper.stop()
        if self.network is not None:
            self.network.close()

    # What the person asks for

    def start_daemon(self) -> None:
        self.state.set_daemon(Daemon.STARTING, "Starting the daemon", "")
        self.network.start_daemon()

    def run(self, wish: Wish) -> None:
        """Capture, submit, and in the end insert; whatever goes wrong is said in the status line."""
        document = self.host.activeDocument()
        if document is None:
            self.state.say(NO_PICTURE, bad=True)
            return
        if wish.lacks_prompt:
            self.state.say("Write in the prompt what should be there, then run again.", bad=True)
            return
        wish = self.drafts.settle(wish)
        job = Job(str(uuid.uuid4()), wish.method["title"], wish.about, document.name())
        self.state.add_job(job)
        self.state.say("")
        self.stepper.start(
            capture(document, wish.method["inputs"], wish.whole),
            lambda captured: self._captured(job, wish, captured),
            lambda error: self._failed(job.id, error),
        )

    def cancel(self) -> None:
        job = self.state.cancellable()
        if job is not None:
            self.state.change_job(job.id, cancelling=True)
            self.network.cancel(job.id)

    def adjust(self) -> dict | None:
        """The recipe of the selected result, to be shown in the form; its source and selection come back."""
        result = again.selected(self.host)
        if result is None:
            self.state.say("Select a layer that Velatura made, to load its settings.", bad=True)
            return None
        self.stepper.start(again.go_back(self.host, result), self.state.say, self._not_adjusted)
        return result.recipe.request

    # What the document and the network answer

    @edge
    def _captured(self, job: Job, wish: Wish, captured: Capture) -> None:
        if job.cancelling:
            self._end(job.id, Phase.CANCELLED, "Cancelled.")
            return
        entry = Entry(job.id, captured.node, captured.root, captured.file, job.title, time.time())
        self._entries[job.id] = entry
        self.network.submit(entry, wish.request(captured.canvas), captured.rasters)
        self.state.change_job(job.id, phase=Phase.SENDING, selected=captured.selection)

    @edge
    def _failed(self, job: str, error: Exception) -> None:
        """Some step on this side failed; what the daemon has is kept."""
        self._end(job, Phase.FAILED, self.sentence(error))

    @edge
    def _not_adjusted(self, error: Exception) -> None:
        self.state.say(self.sentence(error), bad=True)

    def sentence(self, error: Exception) -> str:
        """What to say of an error; one that is our fault is logged."""
        if isinstance(error, VelaturaError):
            return f"{error.message} {error.hint}".strip()
        log.error("a fault", exc_info=error)
        return FAULT

    @edge
    def _on_news(self, name: str, data: Any) -> None:
        job = data.get("job")
        asker = next((asker for asker in (self.drafts, self.proposals) if job and job == asker.job), None)
        if asker is not None:
            asker.hear(name, data)
        else:
            getattr(self, f"_on_{name}")(data)

    def _on_daemon(self, news: dict) -> None:
        self.state.set_daemon(Daemon(news["state"]), news["text"], news["detail"])
        self.state.set_protocol(news.get("protocol", ""))
        if self.state.daemon is not Daemon.CONNECTED:
            self.drafts.stop()
            self.proposals.stop()

    def _on_methods(self, answer: dict) -> None:
        self.state.set_methods(answer.get("methods", []), answer.get("models", []))

    def _on_known(self, news: dict) -> None:
        """A job from before Krita was started, or from before the daemon went away."""
        entry, state = news["entry"], news["job"]
        if state["state"] == "uploading":
            return  # its pixels are gone with the Krita that sent them; the daemon lets it go
        if entry.job not in self._entries:
            self._entries[entry.job] = entry
            self.state.add_job(Job(entry.job, entry.title, created=entry.created), show=False)
        self._on_job(state)

    def _on_job(self, job: dict) -> None:
        name, state = job["job"], job["state"]
        if name not in self._entries:
            return
        if job.get("title"):
            self.state.change_job(name, title=job["title"])
        if state == "done":
            self._finished.setdefault(name, job)
            self._look()
        elif state == "cancelled":
            self._end(name, Phase.CANCELLED, "Cancelled.")
        elif state == "failed":
            error = VelaturaError.from_wire(job.get("error", {}))
            log.error("job %s failed: %s %s", name, error.message, error.detail)
            self._end(name, Phase.FAILED, self.sentence(error))
        else:
            self.state.change_job(name, phase=PHASES.get(state, Phase.QUEUED), fraction=None)

    def _on_progress(self, event: dict) -> None:
        self.state.change_job(
            event["job"], phase=Phase.RUNNING, stage=event.get("stage", ""), fraction=event.get("fraction")
        )

    def _on_preview(self, news: dict) -> None:
        self.state.change_job(news["job"], preview=news["png"], shown=news["rect"])

    def _on_sent(self, news: dict) -> None:
        self.state.change_job(news["job"], fraction=news["fraction"])

    def _on_received(self, news: dict) -> None:
        self.state.change_job(news["job"], fraction=news["fraction"])

    def _on_failed(self, news: dict) -> None:
        name, error = news["job"], news["error"]
        if name not in self._entries:
            return  # a draft that a newer one has replaced
        self._fetching.discard(name)
        if name in self._finished and error.retryable:
            return  # the daemon has the result still: it is fetched once the daemon is back
        log.error("job %s: %s %s", name, error.message, error.detail)
        self._end(name, Phase.FAILED, self.sentence(error))

    # Results

    @edge
    def _look(self) -> None:
        """Fetch each result whose document is open; those of other documents wait."""
        for name, job in list(self._finished.items()):
            if name in self._fetching or self.state.daemon is not Daemon.CONNECTED:
                continue
            place = find(self.host, self._entries[name])
            if place is None:
                self.state.change_job(name, phase=Phase.HOMELESS, fraction=None)
            elif recipes.inserted(place[0], name):
                there = place[0].name()
                self._inserted(name, job, f"The masks are in '{there}'." if has_masks(job) else there)
            else:
                self._fetching.add(name)
                self.state.change_job(name, phase=Phase.RECEIVING, fraction=0.0)
                self.network.fetch(name, [layer["raster"]["digest"] for layer in job["result"]["layers"]])

    def _on_fetched(self, news: dict) -> None:
        name = news["job"]
        job = self._finished[name]
        found = job["result"]["layers"]
        blobs = {d["raster"]["digest"]: data for d, data in zip(found, news["blobs"], strict=True)}
        layers = [
            Layer(d["title"], Raster.from_wire(d["raster"]), d["recipe"], blobs[d["raster"]["digest"]])
            for d in best_first(found)
        ]
        self.state.change_job(name, phase=Phase.INSERTING, fraction=None)
        into = deliver if has_masks(job) else insert
        self.stepper.start(
            into(self.host, self._entries[name], job["title"], layers),
            lambda where: self._inserted(name, job, where),
            lambda error: self._not_inserted(name, error),
        )

    @edge
    def _inserted(self, name: str, job: dict, where: str | None) -> None:
        """where: above what the layers are, of masks a sentence; None if their document was closed."""
        self._fetching.discard(name)
        if where is None:  # look again
            return
        self.network.settle(name, inserted=True)
        count, seconds = len(job["result"]["layers"]), job["result"]["seconds"]
        what = "1 variation" if count == 1 else f"{count} variations"
        sentence = where if has_masks(job) else f"{what} above '{where}', in {seconds:.1f} s."
        told = (sentence, best_because(job["result"]["layers"]), job["result"].get("note", ""))
        sentence = " ".join(filter(None, told))
        self._end(name, Phase.DONE, sentence, settle=False)

    @edge
    def _not_inserted(self, name: str, error: Exception) -> None:
        self._fetching.discard(name)
        self._failed(name, error)

    def _end(self, name: str, phase: Phase, sentence: str, settle: bool = True) -> None:
        """A job has ended; settle: it is to be forgotten on disk too."""
        if settle and name in self._entries:
            self.network.settle(name, inserted=False)
        self._entries.pop(name, None)
        self._finished.pop(name, None)
        self.state.change_job(name, phase=phase, message=sentence, fraction=None, preview=b"")
        self.state.say(sentence, bad=phase is Phase.FAILED)


def has_masks(job: dict) -> bool:
    """Whether a finished job's layers are masks: selections, not pictures."""
    return any(layer.get("kind") == "mask" for layer in job["result"]["layers"])
