"""The strips of the runs of this Krita: their candidates, pictures, and the person's word on each.

`velatura_protocol.strip` decides; here its decisions reach the network and the layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import again, candidates, recipes
from .before_edit import BeforeEdit
from .candidate_pictures import CandidatePictures
from .edges import edge
from .histories import Histories
from .places import find, node_by_id, root_id
from .qt import QtCore, Signal
from .rest import Tell, idle
from .state import KEPT
from .steps import Steps
from .velatura_protocol.candidates import Candidate, of
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.history_entries import Entry, Fate, Key, Relation
from .velatura_protocol.requests import Recipe
from .velatura_protocol.strip import Strip
from .wish import Wish

MORE = 4  #: variations of *more like this*
ENDS = ("done", "failed", "cancelled")
ONE_LEFT = VelaturaError("empty-layer", "This is the last variation; undo the edit if you want none of them.")
NOT_YET = VelaturaError("busy", "The layers come when the run ends; keep one then.")
NOT_HERE = VelaturaError("empty-layer", "This variation is in no open picture.")

NO_MORE = VelaturaError("bad-request", "This way to edit cannot make others like a result.")
NOT_BACK = VelaturaError("empty-layer", "The layer that this was made from is gone, so no more can be made.")


@dataclass(frozen=True)
class Run:
    """A run as the history tells it. root: the id of its document's root."""

    root: str
    title: str
    method: str
    at: float
    parent: Key | None = None
    relation: Relation = ""


class Strips(QtCore.QObject):
    """Belongs to a session. pictures: JPEGs by their digests."""

    changed = Signal()

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session, self.state, self.host = session, session.state, session.host
        self.histories = Histories(session)
        self.strips: dict[str, Strip] = {}
        self._runs: dict[str, Run] = {}
        self.pictures: dict[str, bytes] = {}
        self.on_canvas = CandidatePictures(session, self.pictures)
        self._before = BeforeEdit(session)
        self._asked: set[str] = set()  #: digests of the pictures that are being fetched
        self._inserted: set[str] = set()  #: jobs whose layers are in a picture
        self.state.currentChanged.connect(self.changed)

    @property
    def shown(self) -> Strip | None:
        """The strip of the edit that is shown, else the newest one; none without candidates."""
        current = self.strips.get(self.state.current)
        if current is not None and current.cells:
            return current
        return next((strip for strip in reversed(self.strips.values()) if strip.cells), None)

    # What has come

    def begin(self, job: str, count: int, run: Run | None = None) -> None:
        """A run begins. Its strip replaces the oldest one where there are too many."""
        self.strips[job] = Strip(job, count)
        if run is not None:
            self._runs[job] = run
        for old in list(self.strips)[:-KEPT]:
            self._runs.pop(old, None)
            for cell in self.strips.pop(old).cells:
                if cell.candidate.thumbnail is not None:
                    self.pictures.pop(cell.candidate.thumbnail.digest, None)

    def hear(self, message: dict) -> None:
        """A `candidate` or a `job` of the daemon."""
        found, name = of(message), message["job"]
        if name not in self.strips:
            if not found:
                return
            self.begin(name, len(found), self._earlier(name))
        strip = self.strips[name]
        for candidate in found:
            if strip.add(candidate):
                self._record(candidate)
            self._fetch(candidate)
        if message.get("state") in ENDS:
            strip.end(message["state"])
        self.changed.emit()

    def _earlier(self, job: str) -> Run | None:
        """An edit from before this Krita."""
        entry = self.session.entries.get(job)
        place = find(self.host, entry) if entry is not None else None
        return Run(root_id(place[0]), entry.title, "", entry.created) if place is not None else None

    def _record(self, candidate: Candidate, picture: bytes = b"") -> None:
        run = self._runs.get(candidate.job)
        if run is None:
            return
        method = self.state.known.method(str(candidate.recipe.get("method", "")))
        entry = Entry.of(
            candidate,
            at=run.at,
            title=run.title,
            method=run.method or (method.title if method is not None else ""),
            thumbnail=picture,
            parent=run.parent,
            relation=run.relation,
        )
        self.histories.record(run.root, entry)

    def _mark(self, job: str, index: int, fate: Fate) -> None:
        """Notes in the history what the person has done with a candidate."""
        run = self._runs.get(job)
        if run is not None:
            self.histories.mark(run.root, (job, index), fate)
        self.changed.emit()

    def _fetch(self, candidate: Candidate) -> None:
        picture = candidate.thumbnail
        if picture is not None and picture.digest not in self.pictures.keys() | self._asked:
            self._asked.add(picture.digest)
            self.session.network.thumbnail(candidate.job, picture.digest, picture.size)

    def arrived(self, job: str, digest: str, picture: bytes) -> None:
        """A candidate's picture is here; b"" if it could not be fetched."""
        self._asked.discard(digest)
        if picture and job in self.strips:
            self.pictures[digest] = picture
            strip = self.strips[job]
            for candidate in (*(cell.candidate for cell in strip.cells), *strip.dropped):
                if candidate.thumbnail is not None and candidate.thumbnail.digest == digest:
                    self._record(candidate, picture)
            self.changed.emit()

    def wanted(self, job: str, layers: list[dict]) -> list[dict]:
        """The layers of a result that the person has not dropped, the best first; all if every one was."""
        dropped = self.strips[job].dropped if job in self.strips else []
        gone = {candidate.index for candidate in dropped}
        return [layer for layer in layers if layer.get("index") not in gone] or layers

    def inserted(self, job: str) -> None:
        """The layers of a result are in a picture: the chosen one shows."""
        self._inserted.add(job)
        strip = self.strips.get(job)
        chosen = strip.chosen if strip is not None else None
        if chosen is not None and chosen != strip.cells[0].candidate:
            steps = self._show(job, chosen.index, lambda _what: None)
            self.session.stepper.start(steps, lambda _done: None, lambda _error: None)

    # The person's word

    def choose(self, job: str, index: int) -> None:
        """Chooses a candidate: it shows on the canvas, if its layer is there."""
        strip = self.strips.get(job)
        if strip is None or not strip.choose(index):
            return
        self.changed.emit()
        if candidates.of_job(self.host, job, index) is not None:
            self.session.choose(self._show(job, index, self._teller("to see another variation")))

    def look_at(self, job: str, index: int | None) -> None:
        """Shows a candidate over the canvas where its layer does not show; None: the picture alone."""
        strip, run = self.strips.get(job), self._runs.get(job)
        found = [cell.candidate for cell in strip.cells if cell.candidate.index == index] if strip else []
        is_layer = job in self._inserted and strip.chosen in found
        if run is None or not found or strip.is_before or is_layer:
            self.on_canvas.hide()
        else:
            self.on_canvas.show(run.root, found[0])

    def before(self, job: str, is_held: bool) -> None:
        """Shows the picture before the edit, as long as the person holds the key."""
        strip = self.strips[job]
        strip.before(is_held)
        there = candidates.of_job(self.host, job, strip.chosen.index) if strip.chosen else None
        if not is_held:
            self._before.let_go()
        elif there is not None:
            self._before.hold(there[0], there[1].node)
        self.changed.emit()

    def star(self, job: str) -> None:
        """Stars the chosen candidate, or takes its star away."""
        strip, run = self.strips[job], self._runs.get(job)
        chosen, is_starred = strip.chosen, strip.star()
        if run is not None and chosen is not None:
            self.histories.star(run.root, (job, chosen.index), is_starred)
        self.changed.emit()

    def drop(self, job: str) -> None:
        """Drops the chosen candidate: its layer is removed, which Krita can undo."""
        strip = self.strips[job]
        chosen = strip.chosen
        if chosen is None:
            return
        if len(strip.cells) + strip.awaited < 2:
            self.state.say(ONE_LEFT.message)
        elif job not in self._inserted:
            strip.drop()
            self._mark(job, chosen.index, "dropped")
        else:
            self.session.choose(self._drop(job, chosen.index))

    def keep(self, job: str) -> None:
        """Keeps the chosen candidate as one layer, in place of all."""
        chosen = self.strips[job].chosen
        if chosen is not None:
            self.session.choose(self._keep(job, chosen.index))

    def keep_several(self, job: str) -> None:
        """Keeps a copy of the chosen candidate as a layer below the others, and goes on to the next one."""
        chosen = self.strips[job].chosen
        if chosen is not None:
            self.session.choose(self._keep_several(job, chosen.index))

    def can_take_back(self, job: str) -> bool:
        """Whether a candidate was dropped before its layer was there: Krita's undo knows nothing of it."""
        return job not in self._inserted and self.strips[job].dropped != []

    def take_back(self, job: str) -> None:
        """Brings the candidate back that was dropped last, if `can_take_back`."""
        back = self.strips[job].take_back() if self.can_take_back(job) else None
        if back is not None:
            self._mark(job, back.index, "candidate")

    @edge
    def look(self) -> None:
        """Krita's undo brings a dropped layer back, and its candidate with it."""
        strip = self.shown
        if strip is None or strip.job not in self._inserted or not strip.dropped:
            return
        index = strip.dropped[-1].index
        if candidates.of_job(self.host, strip.job, index) is not None:
            strip.take_back()
            self._mark(strip.job, index, "candidate")
            self.choose(strip.job, index)

    def more(self, job: str) -> None:
        """Runs the edit of the chosen candidate again, with noise that lies close to its own."""
        chosen = self.strips[job].chosen
        if chosen is not None:
            steps = self._more(job, chosen.index)
            self.session.choose(steps, then=self.session.run)

    # The layers

    def _show(self, job: str, index: int, tell: Tell) -> Steps:
        document = self._find(job, index)[0]
        yield from idle(document, tell)
        return candidates.show(*self._find(job, index))

    def _drop(self, job: str, index: int) -> Steps:
        document = self._find(job, index)[0]
        yield from idle(document, self._teller("to drop this variation"))
        strip = self.strips[job]
        if strip.choose(index) and strip.drop() is not None and strip.chosen is not None:
            there = candidates.of_job(self.host, job, strip.chosen.index)
            if there is not None:
                candidates.show(*there)
        _document, result, _parent, at = self._find(job, index)
        name = result.variations[at].name()
        result.variations[at].remove()
        self._mark(job, index, "dropped")
        return f"'{name}' is dropped; undo brings it back."

    def _keep(self, job: str, index: int) -> Steps:
        yield from self._show(job, index, self._teller("to keep this variation"))
        document, result, _parent, _at = self._find(job, index)
        document.setActiveNode(result.node)
        yield 0
        sentence = yield from self.session.keeping()
        strip = self.strips[job]
        if strip.choose(index):
            strip.keep()
        self._mark(job, index, "kept")
        return sentence

    def _keep_several(self, job: str, index: int) -> Steps:
        yield from idle(self._find(job, index)[0], self._teller("to keep this variation"))
        name = yield from candidates.keep_copy(*self._find(job, index))
        strip = self.strips[job]
        if strip.choose(index):
            strip.keep(several=True)
        self._mark(job, index, "kept")
        if strip.chosen is not None and strip.chosen.index != index:
            yield from self._show(job, strip.chosen.index, lambda _what: None)
        return f"'{name}' is kept as a layer of its own, below the others; undo removes it."

    def _more(self, job: str, index: int) -> Steps:
        """Selects what the result was made from; returns the wish that makes others like it."""
        document, result, _parent, at = self._find(job, index)
        node = result.variations[at]
        own = recipes.read(document, node)
        recipe = Recipe.from_wire(own.request)
        method = self.state.known.method(recipe.request.method)
        if method is None or method.around is None:
            raise NO_MORE
        count = min(MORE, method.max_variations)
        distance = next(spec.default for spec in method.around.fields if spec.key == "distance")
        entries = recipe.more_like(method.around, distance, variations=count).parameters[method.around.key]
        if node_by_id(document, own.source) is None:
            raise NOT_BACK
        yield from again.go_back(
            self.host, again.Result(document, node, own), self._teller("to make more like it")
        )
        return Wish(
            method=method,
            model=recipe.request.model,
            prompt=recipe.request.prompt,
            seed=-1,
            variations=count,
            parameters=self.session.restored(recipe.request, document).values,
            sees=own.sees,
            around=tuple(entries),
            parent=(job, index),
            relation="more",
        )

    def _find(self, job: str, index: int) -> tuple[Any, Any, Any, int]:
        found = candidates.of_job(self.host, job, index)
        if found is None:
            raise NOT_YET if self.strips[job].state == "running" else NOT_HERE
        return found

    def _teller(self, end: str) -> Tell:
        return self.session.holder(end)
