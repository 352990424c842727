"""The history of a picture, kept in a parasite: GIMP saves it in the XCF, and no undo takes it back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gi.repository import Gimp

from velatura_protocol import history
from velatura_protocol.candidates import Candidate
from velatura_protocol.errors import VelaturaError
from velatura_protocol.history import History
from velatura_protocol.history_entries import Entry, Fate, Key, Relation


class DocumentHistory:
    """The history of one image.

    A history that cannot be read is not written over until the person forgets it: `refusal` is the sentence
    about it, "" where there is none.
    """

    def __init__(self, image: Gimp.Image) -> None:
        self._image = image
        self.refusal = ""
        self.results = History()
        parasite = image.get_parasite(history.NAME)
        if parasite is not None:
            try:
                self.results = History.from_bytes(bytes(parasite.get_data()))
            except VelaturaError as error:
                self.refusal = error.message

    def record(
        self,
        found: Sequence[tuple[Candidate, bytes]],
        title: str,
        method: str,
        parent: Key | None = None,
        relation: Relation = "",
    ) -> None:
        """Notes candidates with their thumbnails.

        Args:
            found: as `session.OnCandidates` has them.
            title: of the run.
            method: the method's title.
            parent: the result that the run came of.
            relation: how it came of that.
        """
        now = time.time()
        for candidate, thumbnail in found:
            known = self.results.get((candidate.job, candidate.index))
            at = known.at if known else now
            parts = {"at": at, "title": title, "method": method, "parent": parent, "relation": relation}
            self.results.record([Entry.of(candidate, thumbnail=thumbnail, **parts)])
        self._write()

    def mark(self, key: Key, fate: Fate) -> None:
        """Notes what the person has done with a result."""
        self.results.mark(key, fate)
        self._write()

    def star(self, key: Key, on: bool) -> None:
        """Stars a result, or takes its star away."""
        self.results.star(key, on)
        self._write()

    def forget(self) -> None:
        """Begins a new history in place of one that cannot be read."""
        self.refusal, self.results = "", History()
        self._write()

    def _write(self) -> None:
        if self.refusal or not self._image.is_valid():
            return
        data = self.results.to_bytes()
        self._image.attach_parasite(Gimp.Parasite.new(history.NAME, Gimp.PARASITE_PERSISTENT, data))
