"""From finished jobs to layers: results are fetched and inserted, and kept as long as neither is possible.

Nothing here gives a result up because of time or of a failure: its journal entry stays, so the next look, the
next hour or the next Krita tries again.  Only results that the daemon no longer has, or that arrived damaged,
are given up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from . import recipes
from .copies import Copies
from .covers import Covers
from .edges import edge
from .insert import Layer, insert, open_picture
from .masks import deliver
from .places import find, root_id
from .qt import QtCore
from .state import Daemon, Job, Phase
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.kinds import insertion
from .velatura_protocol.rasters import Raster
from .velatura_protocol.results import best_because, best_first

log = logging.getLogger("velatura.krita")

LOOK = 1000  #: milliseconds between two looks for the documents of results that wait
PAUSES = (2, 60)  #: seconds before a failed insertion is tried again: the first time, and at most
GONE = ("unknown-job", "unknown-blob", "blob-corrupt")  #: trying again brings nothing
TO_GET = "to get the result"


class Deliveries(QtCore.QObject):
    """Belongs to a session. jobs: the daemon's done jobs whose results are not inserted yet."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session, self.state, self.host = session, session.state, session.host
        self.covers = Covers(session)
        self.jobs: dict[str, dict] = {}
        self.homes: dict[str, Any] = {}  #: the document of each job of this Krita; it may be closed by now
        self._fetching: set[str] = set()  #: being fetched or inserted
        self._failures: dict[str, tuple[int, float]] = {}  #: how often, and when it is tried again
        self._unsaved: dict[str, str] = {}  #: inserted jobs and the roots of their documents, not saved since
        self._copies = Copies(session)
        self._notes: dict[str, str] = {}  #: a sentence on the place of a result
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        """Krita is closed: results that were not saved are not wanted."""
        self._timer.stop()
        self.covers.stop()
        for name in self._unsaved:
            self.session.network.forget_job(name, inserted=True)
        self._unsaved.clear()

    def is_inserted(self, name: str) -> bool:
        """Whether its result is in an open document that was not saved since."""
        return name in self._unsaved

    def add(self, name: str, job: dict) -> None:
        """A job is done."""
        self.jobs.setdefault(name, job)
        self.look()

    def forget(self, name: str) -> None:
        """Its result is inserted, or gone."""
        self.jobs.pop(name, None)
        self.homes.pop(name, None)
        self._failures.pop(name, None)
        self._fetching.discard(name)

    @edge
    def look(self) -> None:
        """Fetches each result whose document is open; the others wait."""
        self._acknowledge_saved()
        self._tidy()
        for name, job in list(self.jobs.items()):
            waits = self._failures.get(name, (0, 0.0))[1] > time.monotonic()
            if waits or name in self._fetching or self.state.daemon is not Daemon.CONNECTED:
                continue
            self._follow(name)
            place = find(self.host, self.session.entries[name])
            if place is None:
                self._homeless(name)
            elif recipes.inserted(place[0], name):
                there = place[0].name()
                self._inserted(name, job, f"The masks are in '{there}'." if has_masks(job) else there)
            else:
                self._fetching.add(name)
                self.state.change_job(name, phase=Phase.RECEIVING, fraction=0.0)
                digests = [layer["raster"]["digest"] for layer in job["result"]["layers"]]
                self.session.network.fetch(name, digests)

    def _follow(self, name: str) -> None:
        """Flattening gives a document another root, and all its layers are gone: the document is the same."""
        home, entry = self.homes.get(name), self.session.entries[name]
        root = root_id(home) if home is not None else ""
        if root not in ("", entry.root):
            self.session.entries[name] = replace(entry, root=root)

    def _tidy(self) -> None:
        """Lets go what no open document needs, and finds the recipes of copies."""
        recipes.let_go([document for document in self.host.documents() if document.rootNode() is not None])
        self.session.strips.histories.tidy()
        self._copies.look()

    # A result without a document, at the person's word

    def put_into(self, name: str, document: Any) -> None:
        """The result of a waiting job goes on top of `document`."""
        entry = self.session.entries[name]
        place = {"node": "", "root": root_id(document), "file": document.fileName(), "sketch": None}
        self.session.entries[name] = replace(entry, **place, document=document.name())
        self.homes.pop(name, None)
        self.state.change_job(name, document=document.name())
        self.look()

    def open_new(self, name: str) -> None:
        """The result of a waiting job goes into a new picture of the size of its own one."""
        raster = Raster.from_wire(self.jobs[name]["result"]["layers"][0]["raster"])
        request = self.jobs[name]["result"]["layers"][0]["recipe"]
        width, height = request.get("canvas", raster.rect[2:])
        document = open_picture(self.host, raster, width, height, self.state.jobs[name].label)
        window = self.host.activeWindow()
        if window is not None:
            window.addView(document)
        self.put_into(name, document)

    def dismiss(self, name: str) -> None:
        """The result of a waiting job is not wanted: the daemon lets it go."""
        self.session.network.forget_job(name, inserted=True)
        self.session.end(name, Phase.CANCELLED, "The result was let go.", forget=False)

    def fetched(self, name: str, blobs: list) -> None:
        job = self.jobs.get(name)
        if job is None:
            return
        self.state.change_job(name, phase=Phase.INSERTING, fraction=None)
        self.session.stepper.start(
            self._deliver(name, job, blobs),
            lambda where: self._inserted(name, job, where),
            lambda error: self.failed(name, error),
        )

    def _deliver(self, name: str, job: dict, blobs: list) -> Generator[int, None, str | None]:
        found = job["result"]["layers"]
        data = {d["raster"]["digest"]: blob for d, blob in zip(found, blobs, strict=True)}
        layers = [
            Layer(d["title"], Raster.from_wire(d["raster"]), d["recipe"], data[d["raster"]["digest"]])
            for d in best_first(self.session.strips.wanted(name, found))
        ]
        entry, title, tell = self.session.entries[name], job["title"], self.session.teller(name, TO_GET)
        if has_masks(job):
            return (yield from deliver(self.host, entry, title, layers, tell))
        note = lambda sentence: self._notes.update({name: sentence})  # noqa: E731
        return (yield from insert(self.host, entry, title, layers, tell, self.covers.add, note))

    @edge
    def _inserted(self, name: str, job: dict, where: str | None) -> None:
        """where: the name of the layer below, or a sentence about masks; None if the document was closed."""
        self._fetching.discard(name)
        if where is None:
            self._homeless(name)
            return
        place = find(self.host, self.session.entries[name])
        self._unsaved[name] = root_id(place[0]) if place is not None else ""
        self._acknowledge_saved()
        result = job["result"]
        count, seconds = len(self.session.strips.wanted(name, result["layers"])), result["seconds"]
        what = "1 variation" if count == 1 else f"{count} variations"
        sentence = where if has_masks(job) else f"{what} above '{where}', in {seconds:.1f} s."
        place = " ".join(filter(None, (self._notes.pop(name, ""), of_frame(self.state.jobs.get(name)))))
        sentences = (sentence, place, best_because(result["layers"]), result.get("note", ""))
        sentence = " ".join(filter(None, sentences))
        self.session.end(name, Phase.DONE, sentence, forget=False)
        self.session.strips.inserted(name)

    def _acknowledge_saved(self) -> None:
        """Acknowledges the results that were saved or closed. Until then a crash of Krita loses the layers,
        and the next Krita inserts them again."""
        modified = {root_id(document) for document in self.host.documents() if document.modified()}
        for name, root in list(self._unsaved.items()):
            if root not in modified:
                del self._unsaved[name]
                self.session.network.forget_job(name, inserted=True)

    @edge
    def failed(self, name: str, error: Exception) -> None:
        """A result could not be fetched or inserted."""
        self._fetching.discard(name)
        if isinstance(error, VelaturaError) and error.code in GONE:
            self.session.failed(name, error)
            return
        log.error("result of %s: %r", name, error)
        count = self._failures.get(name, (0, 0.0))[0] + 1
        self._failures[name] = (count, time.monotonic() + min(PAUSES[0] ** count, PAUSES[1]))
        if isinstance(error, VelaturaError) and error.retryable:
            return  # the daemon has the result still: it is fetched once the daemon is back
        sentence = f"{self.session.sentence(error)} The result is kept and tried again."
        self.state.change_job(name, phase=Phase.KEPT, message=sentence, fraction=None)
        self.state.say(sentence, bad=True)

    def _homeless(self, name: str) -> None:
        job = self.state.jobs.get(name)
        if job is not None and job.phase is not Phase.HOMELESS:
            where = f"'{job.document}'" if job.document else "its picture"
            sentence = f"'{job.label}' is finished: open {where} {TO_GET}."
            if not self.session.entries[name].file:
                sentence = f"'{job.label}' is finished, but {where} is closed: open it, or choose a place"
                sentence += " under Edits."
            self.state.change_job(name, phase=Phase.HOMELESS, message=sentence, fraction=None)
            self.state.say(sentence)


def of_frame(job: Job | None) -> str:
    """A sentence on the frame of an animated layer; '' for any other."""
    if job is None or job.frame is None:
        return ""
    return f"The layer is animated: this is made from frame {job.frame}, and shows in every frame."


def has_masks(job: dict) -> bool:
    """Whether a finished job's layers are masks: selections, not pictures."""
    return insertion(job["result"]) == "selections"
