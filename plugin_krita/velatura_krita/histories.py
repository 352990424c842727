"""The history of each open picture, in an annotation of the document and so in the .kra.

`velatura_protocol.history` decides what is kept and found; this is its way into Krita.
"""

from __future__ import annotations

from typing import Any

from .edges import edge
from .places import root_id
from .qt import QtCore, Signal
from .recipes import annotate
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.history import NAME, History
from .velatura_protocol.history_entries import Entry, Fate, Key

DESCRIPTION = "What Velatura made for this picture"


class Histories(QtCore.QObject):
    """Belongs to a session. Documents are named by the ids of their roots."""

    changed = Signal()

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.host = session.host
        self.revision = 0  #: another one after each change
        self._read: dict[str, History] = {}
        self._refused: dict[str, str] = {}  #: why a document's history is not read, and never written
        self._unwritten: set[str] = set()

    def of(self, root: str) -> History | None:
        """The history of this open document; None where it is closed, or its history cannot be read."""
        if root in self._read or root in self._refused:
            return self._read.get(root)
        document = self._document(root)
        if document is None:
            return None
        data = bytes(document.annotation(NAME)) if NAME in document.annotationTypes() else b""
        try:
            self._read[root] = History.from_bytes(data)
        except VelaturaError as error:
            self._refused[root] = error.message
        return self._read.get(root)

    def sentence(self, root: str) -> str:
        """The room that it takes, or the reason why it is not read."""
        history = self.of(root)
        if history is not None:
            return history.usage.sentence if len(history) else "Results appear here, and stay in the .kra."
        return self._refused.get(root, "")

    def record(self, root: str, entry: Entry) -> None:
        """Adds a result; see `History.record`."""
        history = self.of(root)
        if history is not None:
            history.record([entry])
            self._note(root)

    def mark(self, root: str, key: Key, fate: Fate) -> None:
        """See `History.mark`."""
        history = self.of(root)
        if history is not None and key in history:
            history.mark(key, fate)
            self._note(root)

    def star(self, root: str, key: Key, on: bool) -> None:
        """See `History.star`."""
        history = self.of(root)
        if history is not None and key in history:
            history.star(key, on)
            self._note(root)
            document = self._document(root)
            if document is not None:
                document.setModified(True)  # every other word of the person changes a layer too

    def tidy(self) -> None:
        """Forgets the histories of closed documents; their files have them."""
        roots = {root_id(document) for document in self.host.documents()}
        for kept in (self._read, self._refused):
            for root in [root for root in kept if root not in roots]:
                del kept[root]

    def _note(self, root: str) -> None:
        self.revision += 1
        if not self._unwritten:
            QtCore.QTimer.singleShot(0, self._write)  # once for all changes of this turn
        self._unwritten.add(root)
        self.changed.emit()

    @edge
    def _write(self) -> None:
        roots, self._unwritten = self._unwritten, set()
        for root in roots:
            document, history = self._document(root), self._read.get(root)
            if document is not None and history is not None:
                annotate(document, NAME, DESCRIPTION, history.to_bytes())

    def _document(self, root: str) -> Any | None:
        found = (document for document in self.host.documents() if root and root_id(document) == root)
        return next(found, None)
