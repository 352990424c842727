"""What is seen of Velatura: the docker's contents, drawn from the session's state."""

from __future__ import annotations

import json

from .activity import Activity, JobList
from .edges import edge
from .fields import guard_wheel, narrow
from .form import Form, Section
from .qt import QtCore, QtWidgets
from .session import Session, Wish
from .state import Daemon
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.schema import fields_from_schema

SETTINGS = "velatura"
MAX_PROMPT = 2000
MAX_SEED = 2**31 - 1
LOOK = 500  #: milliseconds between two looks at which layer is active
DOTS = {
    Daemon.SEARCHING: "#8a8a8a",
    Daemon.ABSENT: "#8a8a8a",
    Daemon.STARTING: "#d9a13b",
    Daemon.CONNECTED: "#5aa469",
    Daemon.LOST: "#d9a13b",
    Daemon.REFUSED: "#cf5b56",
}


class Panel(QtWidgets.QWidget):
    """The whole docker.  It holds no state of its own but what the person has entered."""

    def __init__(self, session: Session, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.session, self.state = session, session.state
        self.on_fault = session.on_fault
        self.form: Form | None = None
        self._entered: dict[str, dict] = {}  #: parameters by method, as last left
        self._build()
        self._connect()
        self._restore()
        self._show_daemon()
        self._show_methods()

    # Building

    def _build(self) -> None:
        self.dot = QtWidgets.QLabel("●")
        self.daemon = QtWidgets.QLabel()
        self.daemon.setObjectName("daemon")
        self.daemon.setAccessibleName("Daemon")
        self.daemon.setWordWrap(True)
        self.start = self._button("start", "Start", "Start Velatura's daemon, which does the work")
        head = QtWidgets.QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self.dot, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.daemon, 1)
        head.addWidget(self.start, 0, QtCore.Qt.AlignmentFlag.AlignTop)

        self.run = self._button("run", "Run", "Edit the active layer inside the selection (Ctrl+Enter in the prompt)")
        self.cancel = self._button("cancel", "Cancel", "Cancel the edit that is shown below")
        buttons = QtWidgets.QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.run, 2)
        buttons.addWidget(self.cancel, 1)
        self.activity = Activity(self.state)

        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self._build_controls())
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(scroll, 1)
        column.addLayout(buttons)
        column.addWidget(self.activity)

    def _build_controls(self) -> QtWidgets.QWidget:
        self.method = QtWidgets.QComboBox()
        self._name(self.method, "method", "Method", "How the picture is edited")
        narrow(self.method)
        self.model = QtWidgets.QComboBox()
        self._name(self.model, "model", "Model", "The network that paints")
        narrow(self.model)
        self.prompt = QtWidgets.QPlainTextEdit()
        self._name(self.prompt, "prompt", "Prompt", "What should be there, in words")
        self.prompt.setPlaceholderText("What should be there?")
        self.prompt.setTabChangesFocus(True)
        self.prompt.setFixedHeight(self.prompt.fontMetrics().lineSpacing() * 3 + 14)
        self.prompt.installEventFilter(self)
        self.variations = QtWidgets.QSpinBox()
        self._name(self.variations, "variations", "Variations", "How many results to paint, each with its own seed")
        self.variations.setRange(1, 1)
        self.seed = QtWidgets.QSpinBox()
        self._name(self.seed, "seed", "Seed", "The same seed paints the same picture; random takes a new one each time")
        self.seed.setRange(-1, MAX_SEED)
        self.seed.setSpecialValueText("random")
        for spin in (self.variations, self.seed):
            guard_wheel(spin)
        self.variations.setMinimumWidth(48)
        self.seed.setMinimumWidth(72)

        self.method_label, self.model_label = QtWidgets.QLabel("Method"), QtWidgets.QLabel("Model")
        top = QtWidgets.QGridLayout()
        top.setHorizontalSpacing(8)
        top.setVerticalSpacing(6)
        top.setColumnStretch(1, 1)
        top.addWidget(self.method_label, 0, 0)
        top.addWidget(self.method, 0, 1)
        top.addWidget(self.model_label, 1, 0)
        top.addWidget(self.model, 1, 1)
        self.method_label.setBuddy(self.method)
        self.model_label.setBuddy(self.model)

        counts = QtWidgets.QHBoxLayout()
        counts.setSpacing(6)
        for title, spin, stretch in (("Variations", self.variations, 0), ("Seed", self.seed, 1)):
            label = QtWidgets.QLabel(title)
            label.setBuddy(spin)
            counts.addWidget(label)
            counts.addWidget(spin, stretch)

        self.form_place = QtWidgets.QVBoxLayout()
        self.jobs = JobList(self.state)
        self.adjust = self._button(
            "adjust", "Adjust result layer", "Load the settings of the selected result layer, to change and run again"
        )
        edits = Section("Edits", "edits")
        inner = QtWidgets.QVBoxLayout(edits.body)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        inner.addWidget(self.jobs)
        inner.addWidget(self.adjust)
        edits.header.setChecked(True)

        controls = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(controls)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self.prompt)
        column.addLayout(counts)
        column.addLayout(self.form_place)
        column.addWidget(edits)
        column.addStretch(1)
        return controls

    def _button(self, name: str, text: str, tip: str) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        self._name(button, name, text, tip)
        return button

    @staticmethod
    def _name(widget: QtWidgets.QWidget, name: str, title: str, tip: str) -> None:
        widget.setObjectName(name)
        widget.setAccessibleName(title)
        widget.setAccessibleDescription(tip)
        widget.setToolTip(tip)

    def _connect(self) -> None:
        self.state.daemonChanged.connect(self._show_daemon)
        self.state.methodsChanged.connect(self._show_methods)
        for changed in (self.state.jobsChanged, self.state.jobChanged, self.state.currentChanged):
            changed.connect(self._show_cancel)
        self.start.clicked.connect(self._on_start)
        self.run.clicked.connect(self._on_run)
        self.cancel.clicked.connect(self._on_cancel)
        self.adjust.clicked.connect(self._on_adjust)
        self.method.currentIndexChanged.connect(self._on_method)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._look)
        self._show_cancel()
        self._look()

    def showEvent(self, event: QtCore.QEvent) -> None:
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QtCore.QEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Ctrl+Enter in the prompt runs."""
        keys = (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter)
        if event.type() == QtCore.QEvent.Type.KeyPress and event.key() in keys:
            if event.modifiers() & QtCore.Qt.KeyboardModifier.ControlModifier:
                self.run.click()
                return True
        return super().eventFilter(watched, event)

    # Drawing the state

    @edge
    def _show_daemon(self) -> None:
        daemon = self.state.daemon
        self.dot.setStyleSheet(f"color: {DOTS[daemon]};")
        self.daemon.setText(self.state.daemon_text)
        self.daemon.setToolTip(self.state.daemon_detail)
        self.start.setVisible(daemon in (Daemon.ABSENT, Daemon.LOST, Daemon.REFUSED))
        self._show_run()

    def _show_run(self) -> None:
        self.run.setEnabled(self.state.daemon is Daemon.CONNECTED and self.method.count() > 0)

    def _show_cancel(self, *_: object) -> None:
        self.cancel.setEnabled(self.state.cancellable() is not None)

    @edge
    def _show_methods(self) -> None:
        """Fill the combo boxes again, keeping what is chosen and entered."""
        self._keep()
        chosen, model = self.method.currentData() or self._last.get("method"), self.model.currentData()
        self.method.blockSignals(True)
        self.method.clear()
        for method in self.state.methods:
            self.method.addItem(method["title"], method["id"])
            self.method.setItemData(self.method.count() - 1, method["summary"], QtCore.Qt.ItemDataRole.ToolTipRole)
        self.method.setCurrentIndex(max(0, self.method.findData(chosen)))
        self.method.blockSignals(False)
        self.method.setEnabled(self.method.count() > 0)
        self.model.clear()
        for entry in self.state.models:
            self.model.addItem(entry["title"], entry["id"])
        self.model.setCurrentIndex(max(0, self.model.findData(model or self._last.get("model"))))
        for widget in (self.model_label, self.model):
            widget.setVisible(self.model.count() > 1)
        self._on_method()
        self._show_run()

    @edge
    def _on_method(self, *_: object) -> None:
        self._keep()
        if self.form is not None:
            self.form_place.removeWidget(self.form)
            self.form.deleteLater()
            self.form = None
        method = self.state.method(self.method.currentData())
        self.prompt.setEnabled(method is None or "prompt" in method["inputs"])
        if method is None:
            return
        self.method.setToolTip(f"{method['summary']}\n{method.get('source', '')}".strip())
        self.variations.setMaximum(max(1, method["max_variations"]))
        try:
            fields = fields_from_schema(method["parameters"])
        except VelaturaError as error:
            self.state.say(error.message, bad=True)
            fields = []
        self.form = Form(fields)
        self.form.setObjectName(method["id"])
        self.form.set_values(self._entered.get(method["id"], {}))
        self.form_place.addWidget(self.form)

    def _keep(self) -> None:
        if self.form is not None:
            self._entered[self.form.objectName()] = self.form.values()

    # What the person does

    @edge
    def _on_start(self, *_: object) -> None:
        self.session.start_daemon()

    @edge
    def _on_cancel(self, *_: object) -> None:
        self.session.cancel()

    @edge
    def _on_run(self, *_: object) -> None:
        method = self.state.method(self.method.currentData())
        if method is None or self.form is None:
            return
        self._keep()
        self._remember()
        self.session.run(
            Wish(
                method=method,
                model=self.model.currentData() or "",
                prompt=self.prompt.toPlainText()[:MAX_PROMPT],
                seed=self.seed.value(),
                variations=self.variations.value(),
                parameters=self.form.values(),
            )
        )

    @edge
    def _on_adjust(self, *_: object) -> None:
        recipe = self.session.adjust()
        if recipe is None:
            return
        index = self.method.findData(recipe.get("method"))
        if index < 0:
            self.state.say("The daemon does not offer the method of this result.", bad=True)
            return
        self.method.setCurrentIndex(index)
        self.model.setCurrentIndex(max(0, self.model.findData(recipe.get("model", {}).get("id"))))
        self.prompt.setPlainText(str(recipe.get("prompt", "")))
        self.seed.setValue(recipe.get("seed", -1))
        self.variations.setValue(recipe.get("variations", 1))
        self.form.reset()
        self.form.set_values(recipe.get("parameters", {}))

    @edge
    def _look(self) -> None:
        self.adjust.setEnabled(self.session.recipe() is not None)

    # From one start of Krita to the next

    def _remember(self) -> None:
        last = {
            "method": self.method.currentData(),
            "model": self.model.currentData(),
            "prompt": self.prompt.toPlainText()[:MAX_PROMPT],
            "variations": self.variations.value(),
            "seed": self.seed.value(),
            "parameters": self._entered,
        }
        self.session.host.writeSetting(SETTINGS, "last", json.dumps(last))

    def _restore(self) -> None:
        try:
            last = json.loads(self.session.host.readSetting(SETTINGS, "last", "{}"))
            self._entered = dict(last.get("parameters", {}))
            self.prompt.setPlainText(str(last.get("prompt", "")))
            self.seed.setValue(last.get("seed", -1))
            self.variations.setMaximum(max(1, last.get("variations", 1)))
            self.variations.setValue(last.get("variations", 1))
        except (ValueError, TypeError, AttributeError):
            last = {}
        self._last: dict = last
