"""Results hidden under a newer one; they become visible again when undo removes that one.

Krita's Python cannot put two things into one undo step, and hiding a layer is not undoable there at all.  So
the layers that a new result hides are recorded here, and undo and redo are followed: the step that removes
the new result shows them again. Krita drops its undo steps with the open document, and so does this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .edges import edge
from .places import is_shown, node_by_id, root_id
from .qt import QtCore
from .recipes import bare

LOOK = 300  #: milliseconds between two looks for an undo that came by another way than its action


@dataclass
class Cover:
    """A result, by unique ids: its document's root, itself (and the layer kept of it), the layers that it
    hides."""

    root: str
    results: list[str]
    hidden: list[str]
    nothing: str  #: the text of Redo when there is nothing to redo
    is_there: bool = True
    covers: bool = True


class Covers(QtCore.QObject):
    """Belongs to a session."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.host, self.state = session.host, session.state
        self._covers: list[Cover] = []
        self._actions: list[Any] = []
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._look)

    def add(self, document: Any, result: Any, hidden: Sequence[Any]) -> None:
        """Hides these layers under `result`, which was added to `document` in this turn."""
        hide(document, hidden)
        nothing = self.host.action("edit_redo").text() if is_shown(self.host, document) else ""
        ids = [bare(node.uniqueId()) for node in hidden]
        self._covers.append(Cover(root_id(document), [bare(result.uniqueId())], ids, nothing))
        for name in ("edit_undo", "edit_redo"):
            action = self.host.action(name)
            if not any(action is known for known in self._actions):
                self._actions.append(action)
                action.triggered.connect(self._look)
        self._timer.start()

    def replaced(self, result: str, kept: str) -> None:
        """`kept` took the place of `result` (unique ids): while either exists, the hidden layers stay
        hidden."""
        for cover in self._covers:
            if result in cover.results:
                cover.results.append(kept)

    def below(self, result: str) -> list[str]:
        """The layers that this result hides and that are still there, by their unique ids."""
        documents = {root_id(document): document for document in self.host.documents()}
        covers = [cover for cover in self._covers if result in cover.results and cover.root in documents]
        hidden = [(documents[cover.root], name) for cover in covers for name in cover.hidden]
        return [name for document, name in hidden if node_by_id(document, name) is not None]

    def stop(self) -> None:
        self._timer.stop()

    @edge
    def _look(self, *_: object) -> None:
        documents = {root_id(document): document for document in self.host.documents()}
        self._covers = [cover for cover in self._covers if cover.root in documents]
        for cover in self._covers:
            self._follow(cover, documents[cover.root])
        if not self._covers:
            self._timer.stop()

    def _follow(self, cover: Cover, document: Any) -> None:
        is_there = any(node_by_id(document, name) is not None for name in cover.results)
        if is_there == cover.is_there:
            return
        cover.is_there = is_there
        if is_there == cover.covers or not (is_there or self._was_undone(cover)):
            return  # the person deleted or merged it, and decides which layers show
        cover.covers = is_there
        found = [node for name in cover.hidden if (node := node_by_id(document, name)) is not None]
        hide(document, found, hidden=is_there)

    def _was_undone(self, cover: Cover) -> bool:
        """Whether the last step was undone: then there is one to redo."""
        return cover.nothing == "" or self.host.action("edit_redo").text() != cover.nothing


def hide(document: Any, nodes: Sequence[Any], hidden: bool = True) -> None:
    for node in nodes:
        node.setVisible(not hidden)
    if nodes:
        document.refreshProjection()
