"""The boxes by which a person chooses the method and the model."""

from __future__ import annotations

from .fields import Combo
from .qt import QtCore, QtWidgets
from .velatura_protocol.catalogue import Catalogue, MethodInfo
from .velatura_protocol.model_choice import able_models, choose_model

HEADING = QtCore.Qt.ItemDataRole.UserRole + 1  #: of a row: whether it is a heading
MOST_ROWS = 40  #: of an open list; Qt takes fewer where the screen is lower
_INDENT = "\u2003"  #: before a method's title below a heading, one em wide
_AROUND = 4  #: pixels around the text of a row
_ABOVE = 6  #: further pixels above a heading


class MethodBox(Combo):
    """The methods, below the headings of their sections. No heading can be chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.setMaxVisibleItems(MOST_ROWS)
        self.setItemDelegate(_Rows(self))
        self.view().viewport().installEventFilter(self)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Stops clicks on a heading: Qt would choose the method that the pointer was over before."""
        if event.type() in (QtCore.QEvent.Type.MouseButtonPress, QtCore.QEvent.Type.MouseButtonRelease):
            return bool(self.view().indexAt(event.pos()).data(HEADING))
        return super().eventFilter(watched, event)

    def offer(self, known: Catalogue, chosen: str | None) -> None:
        """Fills the list again, and chooses the method of this id, else the one that is chosen at first."""
        self.clear()
        for section in known.sections:
            if section.title:
                self._add_heading(section.title)
            for method in section.methods:
                self.addItem(method.title, method.id)
                self.setItemData(self.count() - 1, method.summary, QtCore.Qt.ItemDataRole.ToolTipRole)
        begun = known.method(chosen) or known.first_edit or next(iter(known.offered), None)
        self.setCurrentIndex(self.findData(begun.id) if begun is not None else -1)
        self.setEnabled(begun is not None)

    def _add_heading(self, title: str) -> None:
        self.addItem(title)
        self.setItemData(self.count() - 1, True, HEADING)
        self.model().item(self.count() - 1).setFlags(QtCore.Qt.ItemFlag.NoItemFlags)


class _Rows(QtWidgets.QStyledItemDelegate):
    """Draws headings in bold, and the methods below them indented."""

    def initStyleOption(self, option: QtWidgets.QStyleOptionViewItem, index: QtCore.QModelIndex) -> None:
        super().initStyleOption(option, index)
        state = QtWidgets.QStyle.StateFlag
        if index.data(HEADING):
            option.font.setBold(True)
            option.displayAlignment = QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignBottom
            option.state |= state.State_Enabled  # legible: only its place says that it cannot be chosen
            option.state &= ~(state.State_MouseOver | state.State_Selected | state.State_HasFocus)
        elif index.model().index(0, 0).data(HEADING):
            option.text = _INDENT + option.text

    def sizeHint(self, option: QtWidgets.QStyleOptionViewItem, index: QtCore.QModelIndex) -> QtCore.QSize:
        size = super().sizeHint(option, index)
        above = _ABOVE if index.data(HEADING) and index.row() else 0
        size.setHeight(size.height() + _AROUND + above)
        return size


class ModelBox(Combo):
    """The models. It shows the person's own, or the first that can run the chosen method where that cannot.

    Attributes:
        own: the id of the person's own model; empty while none is known.
        note: says why another model is shown.
    """

    def __init__(self) -> None:
        super().__init__()
        self.own = ""
        self.note = QtWidgets.QLabel()
        self.note.setObjectName("model.note")
        self.note.setWordWrap(True)
        self.note.setVisible(False)

    def offer(self, known: Catalogue, own: str | None) -> None:
        """Fills the list again. own: the id of the person's own model, if there is such a model."""
        self.clear()
        for model in known.models:
            self.addItem(model.title, model.id)
        self.own = own if own and known.model(own) is not None else known.models[0].id if known.models else ""

    def fit(self, known: Catalogue, method: MethodInfo) -> None:
        """Shows the model that runs the method; those that cannot are gray while another can."""
        choice, able = choose_model(known, method, self.own), able_models(known, method)
        for row in range(self.count()):
            self.model().item(row).setEnabled(not able or self.itemData(row) in able)
        self.setCurrentIndex(self.findData(choice.model))
        self.note.setText(choice.note)
        self.note.setVisible(bool(choice.note))
