"""The picture before an edit whose layers are in it, as long as a key is held.

Visibility is in no undo step of Krita's; the layers show again as they were, whatever ends the hold.
"""

from __future__ import annotations

from typing import Any

from .covers import hide
from .places import node_by_id, root_id
from .recipes import bare
from .rest import idle
from .steps import Steps


class BeforeEdit:
    """Belongs to a session's strips."""

    def __init__(self, session: Any) -> None:
        self.session, self.host = session, session.host
        self._document: Any | None = None
        self._shown: list[str] = []  #: the layers that are hidden meanwhile, by their ids
        self._hidden: list[str] = []  #: the layers that show meanwhile
        self._was_modified = False

    @property
    def is_held(self) -> bool:
        return self._document is not None

    def hold(self, document: Any, group: Any) -> None:
        """Hides a result, and shows the layers that it hid. No-op while Krita works on the picture."""
        if self.is_held or not group.visible() or not document.tryBarrierLock():
            return
        document.unlock()
        self._document, self._was_modified = document, document.modified()
        self._shown = [bare(group.uniqueId())]
        below = self.session.deliveries.covers.below(self._shown[0])
        self._hidden = [name for name in below if not node_by_id(document, name).visible()]
        self._switch(document, is_before=True)

    def let_go(self) -> None:
        """Shows the result again, as soon as Krita is idle."""
        document, self._document = self._document, None
        if document is not None:
            self.session.stepper.start(self._back(document), lambda _: None, lambda _: None)

    def _back(self, document: Any) -> Steps:
        yield from idle(document)
        if root_id(document):
            self._switch(document, is_before=False)

    def _switch(self, document: Any, *, is_before: bool) -> None:
        for names, are_shown in ((self._shown, not is_before), (self._hidden, is_before)):
            found = [node for name in names if (node := node_by_id(document, name)) is not None]
            hide(document, found, hidden=not are_shown)
        if not self._was_modified:
            document.setModified(False)
