"""The docker's contents, drawn from the session's state."""

from __future__ import annotations

from . import again, candidates
from .activity import Activity, Sentence
from .controls import Controls, name_widget
from .edges import edge
from .form import Section
from .history_view import HistoryView
from .prompts import means_run
from .qt import QtCore, QtWidgets
from .queue import JobList
from .session import NO_METHOD, Session
from .state import Daemon
from .strip_view import StripView
from .velatura_protocol.history_entries import Entry
from .wish import Wish

NO_PICTURE_IN_FRONT = "Open a picture to put the result there, or take New picture."
LOOK = 500  #: milliseconds between two looks at which layer is active
LINE = 6  #: pixels by which the middles of widgets in one line may differ
LEAST = 120  #: pixels of height that the middle part keeps
DOTS = {
    Daemon.SEARCHING: "#8a8a8a",
    Daemon.ABSENT: "#8a8a8a",
    Daemon.STARTING: "#d9a13b",
    Daemon.CONNECTED: "#5aa469",
    Daemon.LOST: "#d9a13b",
    Daemon.REFUSED: "#cf5b56",
}


class Panel(QtWidgets.QWidget):
    """The whole docker: the daemon above, the controls in the middle, the activity below."""

    def __init__(self, session: Session, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.session, self.state = session, session.state
        self.controls = Controls(self.state, session.host, session.network.state_dir)
        self.activity = Activity(self.state, self._build_buttons())
        outer = QtWidgets.QVBoxLayout(self)  # Krita sets the margins of a docker's outermost layout to 1
        column = QtWidgets.QVBoxLayout()
        column.setContentsMargins(4, 3, 4, 4)
        column.setSpacing(6)
        outer.addLayout(column)
        column.addLayout(self._build_head())
        column.addWidget(self._build_middle(), 1)
        column.addWidget(self.activity)
        self._connect()
        self._show_daemon()
        self._show_cancel()
        self._look()

    def _build_head(self) -> QtWidgets.QLayout:
        self.dot = QtWidgets.QLabel("●")
        self.daemon = Sentence()
        self.daemon.setObjectName("daemon")
        self.daemon.setAccessibleName("Daemon")
        self.start = button("start", "Start", "Start Velatura's daemon, which does the work")
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.dot)
        row.addWidget(self.daemon, 1)
        row.addWidget(self.start)
        return row

    def _build_middle(self) -> QtWidgets.QWidget:
        tip = "Load the settings and the selection of the selected result layer, to run it again"
        self.adjust = button("adjust", "Adjust result layer", tip)
        edits = Section("Edits", "edits")
        inner = QtWidgets.QVBoxLayout(edits.body)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        self.list = JobList(self.state)
        self.cancel_all = button("cancel_all", "Cancel all", "Cancel every edit that waits or runs")
        self.strip = StripView(self.session.strips)
        inner.addWidget(self.strip)
        inner.addLayout(self._build_choice())
        inner.addWidget(self.list, 1)
        inner.addWidget(self.cancel_all)
        inner.addWidget(self.adjust)
        inner.addStretch()
        edits.open(True)
        middle = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(8)
        column.addWidget(self.controls)
        column.addWidget(edits, 1)
        self.history = HistoryView(self.session.strips.histories, self.session.host)
        column.addWidget(self.history)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setMinimumHeight(LEAST)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(middle)
        return scroll

    def _build_choice(self) -> QtWidgets.QLayout:
        """Which variation of a result shows, and which is kept."""
        tip = "Show the {} variation of the selected result, or of the newest"
        self.previous = button("previous", "‹", tip.format("previous"), "Previous variation")
        self.next = button("next", "›", tip.format("next"), "Next variation")
        tip = "Keep the variation that shows as one layer; undo brings the others back"
        self.keep = button("keep", "Keep", tip, "Keep this variation")
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(6)
        for made, stretch in ((self.previous, 1), (self.next, 1), (self.keep, 2)):
            made.setMinimumWidth(1)
            row.addWidget(made, stretch)
        return row

    def _build_buttons(self) -> QtWidgets.QLayout:
        self.run = button("run", "Run", "Edit the active layer inside the selection; also Ctrl+Enter")
        self.run.setFocusPolicy(QtCore.Qt.FocusPolicy.TabFocus)
        self.cancel = button("cancel", "Cancel", "Cancel the edit that is shown below")
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(6)
        for made, stretch in ((self.run, 3), (self.cancel, 2)):
            made.setMinimumWidth(1)  # a style's own least width is more than a narrow docker has
            row.addWidget(made, stretch)
        return row

    def _connect(self) -> None:
        state = self.state
        state.daemonChanged.connect(self._show_daemon)
        state.methodsChanged.connect(self._show_daemon)
        for changed in (state.jobsChanged, state.jobChanged, state.currentChanged):
            changed.connect(self._show_cancel)
        self.start.clicked.connect(self._on_start)
        self.run.clicked.connect(self._on_run)
        self.cancel.clicked.connect(self._on_cancel)
        self.list.pressed.connect(self._on_pressed)
        self.cancel_all.clicked.connect(lambda: self.session.cancel_all())
        self.adjust.clicked.connect(self._on_adjust)
        self.previous.clicked.connect(lambda: self._on_step(-1))
        self.next.clicked.connect(lambda: self._on_step(1))
        self.keep.clicked.connect(self._on_keep)
        self.history.asked.connect(self._on_again)
        self.history.asked_to_run.connect(self._on_run_again)
        self.controls.entered.connect(lambda: self.perform("run"))
        self.controls.wished.connect(self._on_wish)
        self.controls.slid.connect(self._on_slid)
        self.controls.wondered.connect(self._on_wondered)
        self.controls.prompts.unasked.connect(self.session.proposals.stop)
        self.session.proposals.answered.connect(self.controls.prompts.hear)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._look)

    def showEvent(self, event: QtCore.QEvent) -> None:
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QtCore.QEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def event(self, event: QtCore.QEvent) -> bool:
        """Ctrl+Enter runs from every widget of the docker."""
        if not means_run(event):
            return super().event(event)
        if event.type() == QtCore.QEvent.Type.KeyPress and not event.isAutoRepeat():
            self.perform("run")
        return True

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes through the docker from top to bottom, whatever was made first."""
        fields = in_order(self)
        now = QtWidgets.QApplication.focusWidget()
        at = next((i for i, field in enumerate(fields) if field is now or field.focusProxy() is now), None)
        to = None if at is None else at + (1 if forward else -1)
        if to is None or not 0 <= to < len(fields):
            return super().focusNextPrevChild(forward)
        reason = QtCore.Qt.FocusReason
        fields[to].setFocus(reason.TabFocusReason if forward else reason.BacktabFocusReason)
        return True

    def enterEvent(self, event: QtCore.QEvent) -> None:
        super().enterEvent(event)
        self.controls.wonder()

    def leaveEvent(self, event: QtCore.QEvent) -> None:
        super().leaveEvent(event)
        self.session.drafts.forget()  # the pointer is on its way to the picture, perhaps to paint

    # Drawing the state

    @edge
    def _show_daemon(self) -> None:
        daemon = self.state.daemon
        self.dot.setStyleSheet(f"color: {DOTS[daemon]};")
        self.daemon.setText(self.state.daemon_text)
        self.daemon.setToolTip(self.state.daemon_detail)
        self.start.setVisible(daemon in (Daemon.ABSENT, Daemon.LOST, Daemon.REFUSED))
        self.run.setEnabled(daemon is Daemon.CONNECTED and bool(self.state.known.methods))

    def _show_cancel(self, *_: object) -> None:
        able = [job for job in self.state.jobs.values() if job.phase.cancellable and not job.cancelling]
        self.cancel_all.setVisible(len(able) > 1)
        self.cancel.setEnabled(self.state.cancellable() is not None)

    @edge
    def _look(self) -> None:
        self.adjust.setEnabled(again.selected(self.session.host) is not None)
        self.session.strips.look()
        self.history.draw()
        has_choice = candidates.meant(self.session.host.activeDocument()) is not None
        for made in (self.previous, self.next, self.keep):
            made.setEnabled(has_choice)

    # Actions by the docker's controls

    @edge
    def _on_start(self, *_: object) -> None:
        self.session.start_daemon()

    @edge
    def _on_cancel(self, *_: object) -> None:
        self.session.cancel()

    @edge
    def _on_pressed(self, job: str, name: str) -> None:
        """A button of an edit in the list."""
        deliveries, document = self.session.deliveries, self.session.host.activeDocument()
        if name == "cancel":
            self.session.cancel(job)
        elif job in deliveries.jobs and name == "dismiss":
            deliveries.dismiss(job)
        elif job in deliveries.jobs and name == "new":
            deliveries.open_new(job)
        elif job in deliveries.jobs and document is not None:
            deliveries.put_into(job, document)
        else:
            self.state.say(NO_PICTURE_IN_FRONT, bad=True)

    @edge
    def _on_run(self, *_: object) -> None:
        wish = self.controls.wish()
        self.run.clearFocus()  # Space moves the canvas: it must not run again
        if wish is not None:
            self.session.run(wish)

    @edge
    def _on_step(self, by: int) -> None:
        self.session.step(by)

    @edge
    def _on_keep(self, *_: object) -> None:
        self.session.keep()

    # Actions by a shortcut, Krita's search or a toolbar

    @edge
    def perform(self, name: str) -> None:
        """Runs the action `name` of `actions.ACTIONS`."""
        match name:
            case "run" if not self.run.isEnabled():
                self.state.say(f"{self.state.daemon_text}; press Start in Velatura's docker.", bad=True)
            case "run":
                self._on_run()
            case "cancel" if self.state.cancellable() is None:
                self.state.say("There is no edit to cancel.")
            case "cancel":
                self._on_cancel()
            case "adjust":
                self._on_adjust()
            case "next" | "previous":
                self._on_step(1 if name == "next" else -1)
            case "keep":
                self._on_keep()
            case "prompt":
                self.controls.prompt.setFocus(QtCore.Qt.FocusReason.ShortcutFocusReason)
                self.controls.prompt.selectAll()

    @edge
    def _on_slid(self) -> None:
        if self.state.previews and self.run.isEnabled():
            self.session.drafts.ask(self.controls.wish)

    @edge
    def _on_wish(self, wish: Wish) -> None:
        if self.run.isEnabled():
            self.session.run(wish)

    @edge
    def _on_wondered(self, wish: Wish, quietly: bool) -> None:
        self.controls.prompts.wait_for(self.session.proposals.ask(wish, quietly))

    @edge
    def _on_adjust(self, *_: object) -> None:
        found = self.session.adjust()
        if found is not None:
            self._show_recipe(*found)

    @edge
    def _on_again(self, entry: Entry) -> None:
        """Edit again, from the history."""
        edit = self.session.from_history(entry)
        if edit is not None:
            self._show_recipe(edit)

    @edge
    def _on_run_again(self, entry: Entry) -> None:
        if self.run.isEnabled():
            self.session.run_again(entry)
        else:
            self.perform("run")  # says why it cannot run

    def _show_recipe(self, *recipe: object) -> None:
        if not self.controls.show_recipe(*recipe):
            self.state.say(NO_METHOD, bad=True)


def button(name: str, text: str, tip: str, title: str = "") -> QtWidgets.QPushButton:
    """title: for screen readers, where the text is a symbol."""
    made = QtWidgets.QPushButton(text)
    name_widget(made, name, title or text, tip)
    return made


def in_order(panel: QtWidgets.QWidget) -> list[QtWidgets.QWidget]:
    """The widgets that take the focus by Tab, line by line."""
    tab, origin = QtCore.Qt.FocusPolicy.TabFocus, QtCore.QPoint(0, 0)
    found = [
        widget
        for widget in panel.findChildren(QtWidgets.QWidget)
        if widget.isVisible()
        and widget.isEnabled()
        and widget.focusPolicy() & tab
        and not widget.focusProxy()
    ]
    place = {widget: widget.mapTo(panel, origin) for widget in found}
    middle = {widget: place[widget].y() + widget.height() // 2 for widget in found}
    rows: list[list[QtWidgets.QWidget]] = []
    for widget in sorted(found, key=lambda one: middle[one]):
        if rows and middle[widget] - middle[rows[-1][0]] <= LINE:
            rows[-1].append(widget)
        else:
            rows.append([widget])
    return [widget for row in rows for widget in sorted(row, key=lambda one: place[one].x())]
