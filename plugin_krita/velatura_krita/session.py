"""The link between the docker, the document and the network thread; on the user interface's thread."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from . import again, candidates
from .capture import NO_PICTURE, Capture, capture
from .deliveries import Deliveries
from .drafts import Drafts
from .edges import FAULT, edge
from .hands import pen
from .journal import Entry
from .places import root_id
from .proposals import Proposals
from .qt import QtCore, Signal
from .rasters import layers
from .rest import Tell, idle
from .state import Daemon, Job, Phase, State
from .steps import Stepper, Steps
from .strips import Run, Strips
from .velatura_protocol.choices import Restored, restore
from .velatura_protocol.comparison import Changes
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.history_entries import Entry as Past
from .velatura_protocol.requests import Edit, Recipe, Request
from .wish import Wish

log = logging.getLogger("velatura.krita")

PHASES = {"uploading": Phase.SENDING, "queued": Phase.QUEUED, "started": Phase.RUNNING}
TO_BEGIN = "to begin"
NO_METHOD = "This result's method is not available any more; update Velatura."


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
        self.deliveries = Deliveries(self)
        self.strips = Strips(self)
        self.entries: dict[str, Entry] = {}  #: jobs that have not ended
        self._reading: dict[str, Steps] = {}  #: the capture of each job that waits for it
        self._choosing: Steps | None = None  #: the person's newest choice among results
        self._news.connect(self._on_news, QtCore.Qt.ConnectionType.QueuedConnection)

    def start(self, network: Any) -> None:
        """Use `network` (a `network.Network` made with `self.emit_news`) and start it."""
        self.network = network
        self.state.wordsWanted.connect(network.vocabulary)
        network.start()
        self.deliveries.start()

    def emit_news(self, name: str, data: Any) -> None:
        """Called by the network thread: brings the news to this thread's event loop."""
        self._news.emit(name, data)

    def close(self) -> None:
        self.deliveries.stop()
        self.stepper.stop()
        if self.network is not None:
            self.network.close()

    # Commands of the person

    def start_daemon(self) -> None:
        self.state.set_daemon(Daemon.STARTING, "Starting the daemon", "")
        self.network.start_daemon()

    def run(self, wish: Wish) -> None:
        """Captures, submits, and in the end inserts; the status line reports every failure."""
        document = self.host.activeDocument()
        if document is None:
            self.state.say(NO_PICTURE, bad=True)
            return
        if wish.lacks_prompt:
            self.state.say("Write in the prompt what should be there, then run again.", bad=True)
            return
        try:
            further = wish.further
        except VelaturaError as error:
            self.state.say(self.sentence(error), bad=True)
            return
        pen.watch()
        wish = self.drafts.begin_run(wish)
        job = Job(str(uuid.uuid4()), wish.method.title, wish.about, document.name())
        run = Run(root_id(document), job.label, wish.method.title, job.created, wish.parent, wish.relation)
        self.strips.begin(job.id, wish.variations, run)
        self.state.add_job(job)
        self.state.say("")
        tell = self.teller(job.id, TO_BEGIN)
        reading = self._reading[job.id] = capture(
            document, wish.method, wish.whole, tell, further, wish.sees, follow=True
        )
        self.stepper.start(
            reading,
            lambda captured: self._captured(job, wish, document, captured),
            lambda error: self.failed(job.id, error),
        )

    def cancel(self, name: str = "") -> None:
        """name: of a job; '' for the one that the Cancel button means."""
        job = self.state.jobs.get(name) if name else self.state.cancellable()
        if job is None or job.cancelling or not job.phase.cancellable:
            return
        if job.id in self._reading:  # the daemon knows nothing of it yet
            self.stepper.drop(self._reading.pop(job.id))
            self.end(job.id, Phase.CANCELLED, "Cancelled.")
            return
        self.state.change_job(job.id, cancelling=True)
        self.network.cancel(job.id)

    def cancel_all(self) -> None:
        """Cancels every edit that can be cancelled, the newest first."""
        for job in [job for job in reversed(self.state.jobs.values()) if job.phase.cancellable]:
            self.cancel(job.id)

    def adjust(self) -> tuple[Edit, str] | None:
        """The recipe of the selected result and the picture that it was made from (see `sights.TITLES`), to
        be shown in the form; its source and selection come back."""
        result = again.selected(self.host)
        if result is None:
            self.state.say("Select a layer that Velatura made, to load its settings.", bad=True)
            return None
        try:
            recipe = Recipe.from_wire(result.recipe.request)
        except VelaturaError as error:
            self.state.say(self.sentence(error), bad=True)
            return None
        edit, found = recipe.again(), self.restored(recipe.request, result.document)
        known = self._changes(recipe.request)
        self.choose(again.go_back(self.host, result, self.holder("to adjust this result"), known), found.lost)
        return replace(edit, parameters=found.values), result.recipe.sees

    def from_history(self, entry: Past) -> Edit | None:
        """The recipe of a result of the history, to be shown in the form; it runs on the layer of now."""
        document = self.host.activeDocument()
        try:
            recipe = Recipe.from_wire(entry.recipe)
        except VelaturaError as error:
            self.state.say(self.sentence(error), bad=True)
            return None
        found = self.restored(recipe.request, document)
        self.state.say(f"These are the settings of '{entry.prompt or entry.title}'. {found.lost}".strip())
        return replace(recipe.again(), parameters=found.values)

    def run_again(self, entry: Past) -> None:
        """Runs the recipe of one result of the history again, on the layer and the selection of now."""
        document = self.host.activeDocument()
        try:
            request = Recipe.from_wire(entry.recipe).of_layer().request
        except VelaturaError as error:
            self.state.say(self.sentence(error), bad=True)
            return
        method = self.state.known.method(request.method)
        if method is None:
            self.state.say(NO_METHOD, bad=True)
            return
        found, group = self.restored(request, document), method.around
        wish = Wish(
            method=method,
            model=request.model,
            prompt=request.prompt,
            seed=request.seed,
            variations=1,
            parameters=found.values,
            around=tuple(request.parameters.get(group.key, ())) if group is not None else (),
            parent=entry.key,
            relation="again",
        )
        self.run(wish)
        if found.lost:
            self.state.say(found.lost)

    def _changes(self, request: Request) -> Changes:
        """How method and model of a recipe have changed since."""
        known = self.state.known
        method, models = known.method(request.method), [model.id for model in known.models]
        is_newer = method is not None and method.version > request.method_version > 0
        return Changes(
            is_method_newer=is_newer, lacks_model=bool(request.model) and request.model not in models
        )

    def restored(self, request: Request, document: Any) -> Restored:
        """The form's values from a recipe: its rasters are looked up among the layers."""
        method = self.state.known.method(request.method)
        fields = method.form if method is not None else ()
        return restore(fields, request.parameters, request.inputs, layers(document))

    def step(self, by: int) -> None:
        """Shows the next (1) or the previous (-1) variation of the selected or newest result."""
        document = self.host.activeDocument()
        if document is not None:
            self.choose(self._step(document, by))

    def keep(self) -> None:
        """Keeps the visible variation and removes the others of its group."""
        self.choose(self.keeping())

    def keeping(self) -> Steps:
        """The steps of `keep`."""
        tell = self.holder("to keep this variation")
        return candidates.keep(self.host, self.deliveries.covers.replaced, tell)

    def _step(self, document: Any, by: int) -> Steps:
        yield from idle(document, self.holder("to see another variation"))
        return candidates.step(document, by)

    def choose(self, steps: Steps, also: str = "", then: Callable[[Any], None] | None = None) -> None:
        """Runs one choice at a time: a newer one replaces a waiting one.

        Args:
            steps: they return a sentence for the person.
            also: a sentence after that one.
            then: gets what they return, instead of the person.
        """
        self.stepper.drop(self._choosing)
        self._choosing = steps
        self.state.say("")
        self.stepper.start(
            steps, then or (lambda done: self.state.say(f"{done} {also}".strip())), self._not_chosen
        )

    def holder(self, end: str) -> Tell:
        """As `teller`, for a choice: the status line shows it."""
        return lambda what: self.state.say(f"{what} {end}." if what else "")

    def teller(self, job: str, end: str) -> Tell:
        """A function that shows at a job the step that the person has to finish first.

        end: the end of its sentence.
        """
        return lambda what: self.state.change_job(job, obstacle=f"{what} {end}." if what else "")

    # Answers of the document and the network

    @edge
    def _captured(self, job: Job, wish: Wish, document: Any, captured: Capture) -> None:
        self._reading.pop(job.id, None)
        self.deliveries.homes[job.id] = document
        entry = Entry(
            job.id,
            captured.node,
            captured.root,
            captured.file,
            job.label,
            time.time(),
            captured.document,
            captured.sketch.to_json() if captured.sketch is not None else None,
            captured.sees,
        )
        self.entries[job.id] = entry
        self.network.submit(entry, wish.edit, captured.inputs, captured.canvas)
        self.state.change_job(job.id, phase=Phase.SENDING, selected=captured.selection, frame=captured.frame)

    @edge
    def failed(self, job: str, error: Exception) -> None:
        """An edit failed and gives no result."""
        self._reading.pop(job, None)
        self.end(job, Phase.FAILED, self.sentence(error))

    @edge
    def _not_chosen(self, error: Exception) -> None:
        self.state.say(self.sentence(error), bad=True)

    def sentence(self, error: Exception) -> str:
        """The sentence for an error; a fault of the plugin is logged."""
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

    def _on_methods(self, news: dict) -> None:
        self.state.set_known(news["known"])

    def _on_vocabulary(self, news: dict) -> None:
        self.state.words[news["model"]] = news["words"]

    def _on_known(self, news: dict) -> None:
        """A job from before Krita was started, or from before the daemon went away."""
        entry, state = news["entry"], news["job"]
        if self.deliveries.is_inserted(entry.job):
            return
        if state["state"] == "uploading":
            return  # its pixels are gone with the Krita that sent them; the daemon lets it go
        if entry.job not in self.entries:
            self.entries[entry.job] = entry
            job = Job(entry.job, entry.title, entry.title, entry.document, created=entry.created)
            self.state.add_job(job, show=False)
        self._on_job(state)

    def _on_job(self, job: dict) -> None:
        name, state = job["job"], job["state"]
        if name not in self.entries:
            return
        if job.get("title"):
            self.state.change_job(name, title=job["title"])
        self.strips.hear(job)
        if state == "done":
            self.deliveries.add(name, job)
        elif state == "cancelled":
            self.end(name, Phase.CANCELLED, "Cancelled.")
        elif state == "failed":
            error = VelaturaError.from_wire(job.get("error", {}))
            log.error("job %s failed: %s %s", name, error.message, error.detail)
            self.end(name, Phase.FAILED, self.sentence(error))
        else:
            self.state.change_job(name, phase=PHASES.get(state, Phase.QUEUED), fraction=None)

    def _on_candidate(self, event: dict) -> None:
        self.strips.hear(event)

    def _on_thumbnail(self, news: dict) -> None:
        self.strips.arrived(news["job"], news["digest"], news["jpeg"])

    def _on_pixels(self, news: dict) -> None:
        self.strips.on_canvas.arrived(news["digest"], news["data"])

    def _on_progress(self, event: dict) -> None:
        name, fraction = event["job"], event.get("fraction")
        job = self.state.jobs.get(name)
        left = job.remaining.heard(fraction) if job is not None else ""
        self.state.change_job(
            name, phase=Phase.RUNNING, stage=event.get("stage", ""), fraction=fraction, left=left
        )

    def _on_preview(self, news: dict) -> None:
        self.state.change_job(news["job"], preview=news["png"], shown=news["rect"])

    def _on_sent(self, news: dict) -> None:
        self.state.change_job(news["job"], fraction=news["fraction"])

    def _on_received(self, news: dict) -> None:
        self.state.change_job(news["job"], fraction=news["fraction"])

    def _on_failed(self, news: dict) -> None:
        name, error = news["job"], news["error"]
        if name not in self.entries:
            return  # a draft that a newer one has replaced
        if name in self.deliveries.jobs:
            self.deliveries.failed(name, error)
            return
        log.error("job %s: %s %s", name, error.message, error.detail)
        self.end(name, Phase.FAILED, self.sentence(error))

    def _on_fetched(self, news: dict) -> None:
        self.deliveries.fetched(news["job"], news["blobs"])

    def end(self, name: str, phase: Phase, sentence: str, forget: bool = True) -> None:
        """A job has ended. forget: whether to remove it from the journal too."""
        if forget and name in self.entries:
            self.network.forget_job(name, inserted=False)
        self.entries.pop(name, None)
        self.deliveries.forget(name)
        self.state.change_job(name, phase=phase, message=sentence, fraction=None, preview=b"", obstacle="")
        self.state.say(sentence, bad=phase is Phase.FAILED)
