"""The menu of presets: dials or whole settings that are kept under a name, or exchanged in files.

`velatura_protocol.preset_shelves` does the work; here are the menu and its small windows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from .dial import tool_button
from .qt import QtCore, QtWidgets, Signal
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.named_files import SUFFIX
from .velatura_protocol.preset_shelves import Shelf


class PresetButton(QtWidgets.QToolButton):
    """A button with the presets of `shelf`. name: for scripts."""

    said = Signal(str, bool)  #: a sentence, and whether something went wrong

    def __init__(self, shelf: Shelf, name: str) -> None:
        super().__init__()
        self.shelf, self.noun = shelf, shelf.kind.noun
        self.files = f"{self.noun.capitalize()} (*{SUFFIX})"
        made = tool_button("Presets", f"{self.noun.capitalize()} that you have kept: load, save, exchange")
        self.setText(made.text())
        self.setToolTip(made.toolTip())
        self.setAccessibleName(f"Presets of {self.noun}")
        self.setAccessibleDescription(made.toolTip())
        self.setObjectName(name)
        self.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QtWidgets.QMenu(self)
        menu.aboutToShow.connect(self.fill)
        self.setMenu(menu)

    def sizeHint(self) -> QtCore.QSize:
        """With room for the arrow, which styles draw over the text."""
        return super().sizeHint() + QtCore.QSize(10, 0)

    def fill(self) -> None:
        """Fills the menu with the present presets."""
        menu, names = self.menu(), self.shelf.names()
        menu.clear()
        for name in names:
            menu.addAction(shown(name)).triggered.connect(
                functools.partial(self.attempt, self.shelf.load, name)
            )
        if not names:
            menu.addAction("No presets yet").setEnabled(False)
        menu.addSeparator()
        delete = QtWidgets.QMenu("Delete", menu)
        for name in names:
            delete.addAction(shown(name)).triggered.connect(functools.partial(self._ask_delete, name))
        for text, act, on in (
            ("Save as…", self._ask_save, self.shelf.can_save),
            (delete, None, bool(names)),
            (None, None, True),
            ("Import…", self._ask_import, True),
            ("Export…", self._ask_export, self.shelf.can_save),
        ):
            if text is None:
                menu.addSeparator()
            elif act is None:
                menu.addMenu(text).setEnabled(on)
            else:
                action = menu.addAction(text)
                action.setEnabled(on)
                action.triggered.connect(lambda _on=False, act=act: act())

    def attempt(self, work: Callable[[str], str], text: str, *_: object) -> None:
        """Does it and tells the outcome in a sentence."""
        try:
            self.said.emit(work(text), False)
        except VelaturaError as error:
            self.said.emit(f"{error.message} {error.hint}".strip(), True)

    # With a dialog

    def _ask_save(self) -> None:
        name, is_wanted = QtWidgets.QInputDialog.getText(
            self.window(), f"Save the {self.noun}", "Name of the preset:", text=self.shelf.proposed
        )
        there = [n for n in self.shelf.names() if self.shelf.same(n, name)]
        if is_wanted and (not there or self._sure(f"There is a preset '{there[0]}'. Replace it?")):
            self.attempt(self.shelf.save, name)

    def _ask_delete(self, name: str, *_: object) -> None:
        if self._sure(f"Delete the preset '{name}'?"):
            self.attempt(self.shelf.delete, name)

    def _ask_import(self) -> None:
        path, _filter = QtWidgets.QFileDialog.getOpenFileName(
            self.window(), f"Import {self.noun}", str(Path.home()), self.files
        )
        if path:
            self.attempt(self.shelf.add_from, path)

    def _ask_export(self) -> None:
        proposed = str(Path.home() / self.shelf.kind.file_name(self.shelf.proposed))
        dialog = QtWidgets.QFileDialog(self.window(), f"Export the {self.noun}", proposed, self.files)
        dialog.setAcceptMode(QtWidgets.QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX)
        dialog.selectFile(proposed)
        if dialog.exec():
            self.attempt(self.shelf.export_to, dialog.selectedFiles()[0])

    def _sure(self, question: str) -> bool:
        buttons = QtWidgets.QMessageBox.StandardButton
        answer = QtWidgets.QMessageBox.question(
            self.window(), "Presets", question, buttons.Yes | buttons.Cancel, buttons.Cancel
        )
        return answer == buttons.Yes


def shown(name: str) -> str:
    """A name as a menu shows it."""
    return name.replace("&", "&&")
