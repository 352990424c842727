"""The menu of presets: dials that are kept under a name, or exchanged in files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from .dial import tool_button
from .qt import QtCore, QtWidgets, Signal
from .velatura_protocol.dials import title
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.presets import (
    DELETED,
    EXPORTED,
    KEPT,
    MAX_NAME,
    SUFFIX,
    Presets,
    export_to,
    file_name,
)
from .velatura_protocol.schema import Field

FILES = f"Dials (*{SUFFIX})"


def errors_reported(method: Callable[..., None]) -> Callable[..., None]:
    """Reports a failure in a sentence."""

    @functools.wraps(method)
    def reporting(self: PresetButton, *args: object) -> None:
        try:
            method(self, *args)
        except VelaturaError as error:
            self.said.emit(f"{error.message} {error.hint}".strip(), True)

    return reporting


class PresetButton(QtWidgets.QToolButton):
    """spec: the field of dials.  entries: the dials as they are now."""

    loaded = Signal(list)
    said = Signal(str, bool)  #: a sentence, and whether something went wrong

    def __init__(self, spec: Field, folder: Path, entries: Callable[[], list[dict]]) -> None:
        super().__init__()
        self.spec, self.entries, self.kept = spec, entries, Presets(folder)
        made = tool_button("Presets", "Dials that you have kept: load, save, exchange")
        self.setText(made.text())
        self.setToolTip(made.toolTip())
        self.setAccessibleName("Presets")
        self.setAccessibleDescription(made.toolTip())
        self.setObjectName(spec.key + ".presets")
        self.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QtWidgets.QMenu(self)
        menu.aboutToShow.connect(self.fill)
        self.setMenu(menu)

    def sizeHint(self) -> QtCore.QSize:
        """With room for the arrow, which styles draw over the text."""
        return super().sizeHint() + QtCore.QSize(10, 0)

    def fill(self) -> None:
        """Fills the menu with the present presets."""
        menu, names = self.menu(), self.kept.names()
        menu.clear()
        for name in names:
            menu.addAction(shown(name)).triggered.connect(functools.partial(self.load, name))
        if not names:
            menu.addAction("No presets yet").setEnabled(False)
        menu.addSeparator()
        delete = QtWidgets.QMenu("Delete", menu)
        for name in names:
            delete.addAction(shown(name)).triggered.connect(functools.partial(self._ask_delete, name))
        for text, act, on in (
            ("Save as…", self._ask_save, bool(self.entries())),
            (delete, None, bool(names)),
            (None, None, True),
            ("Import…", self._ask_import, True),
            ("Export…", self._ask_export, bool(self.entries())),
        ):
            if text is None:
                menu.addSeparator()
            elif act is None:
                menu.addMenu(text).setEnabled(on)
            else:
                action = menu.addAction(text)
                action.setEnabled(on)
                action.triggered.connect(lambda _on=False, act=act: act())

    # Without a dialog

    @errors_reported
    def load(self, name: str, *_: object) -> None:
        self.loaded.emit(self.kept.load(name, self.spec))

    @errors_reported
    def save(self, name: str) -> None:
        self.said.emit(KEPT.format(self.kept.save(name, self.entries())), False)

    @errors_reported
    def delete(self, name: str) -> None:
        self.kept.delete(name)
        self.said.emit(DELETED.format(name), False)

    @errors_reported
    def import_file(self, path: str) -> None:
        preset = self.kept.add_from(path, self.spec)
        self.loaded.emit(preset.dials)
        self.said.emit(KEPT.format(preset.name), False)

    @errors_reported
    def export_file(self, path: str) -> None:
        export_to(path, Path(path).stem[:MAX_NAME], self.entries())
        self.said.emit(EXPORTED.format(Path(path).name), False)

    # With one

    def _ask_save(self) -> None:
        name = self._first_title()
        name, is_wanted = QtWidgets.QInputDialog.getText(
            self.window(), "Save the dials", "Name of the preset:", text=name
        )
        there = [n for n in self.kept.names() if self.kept.same(n, name)]
        if is_wanted and (not there or self._sure(f"There is a preset '{there[0]}'. Replace it?")):
            self.save(name)

    def _ask_delete(self, name: str, *_: object) -> None:
        if self._sure(f"Delete the preset '{name}'?"):
            self.delete(name)

    def _ask_import(self) -> None:
        path, _filter = QtWidgets.QFileDialog.getOpenFileName(
            self.window(), "Import dials", str(Path.home()), FILES
        )
        if path:
            self.import_file(path)

    def _ask_export(self) -> None:
        proposed = str(Path.home() / file_name(self._first_title()))
        dialog = QtWidgets.QFileDialog(self.window(), "Export the dials", proposed, FILES)
        dialog.setAcceptMode(QtWidgets.QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX)
        dialog.selectFile(proposed)
        if dialog.exec():
            self.export_file(dialog.selectedFiles()[0])

    def _first_title(self) -> str:
        """A name to begin with."""
        entries = self.entries()
        return title(entries[0])[:MAX_NAME] if entries else ""

    def _sure(self, question: str) -> bool:
        buttons = QtWidgets.QMessageBox.StandardButton
        answer = QtWidgets.QMessageBox.question(
            self.window(), "Presets", question, buttons.Yes | buttons.Cancel, buttons.Cancel
        )
        return answer == buttons.Yes


def shown(name: str) -> str:
    """A name as a menu shows it."""
    return name.replace("&", "&&")
