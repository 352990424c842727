"""Runs one test script inside Krita, then quits Krita.

The script has ``def drive(t)``, a generator; what it yields says what it waits
for: nothing (one turn of the event loop), a number (seconds), or a callable
(until it returns something true, which the ``yield`` then returns).  ``t`` is
the `Driver`.  Standard library and PyQt only: this runs in Krita's own Python.
"""

import contextlib
import os
import sys
import time
import traceback

import krita

from .inside import Notes

if getattr(krita, "qt_major_version", lambda: 5)() == 6:
    from PyQt6.QtCore import QObject, Qt, QTimer
    from PyQt6.QtWidgets import QApplication
else:
    from PyQt5.QtCore import QObject, Qt, QTimer
    from PyQt5.QtWidgets import QApplication

FOLDER = os.environ.get("VELATURA_DRIVER_FOLDER", "")


class StallWatch:
    """Measures the longest time in which Krita's UI thread handled no event."""

    def __init__(self):
        self.longest = 0.0
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(2)

    def _tick(self):
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now

    def stop(self):
        """Stop watching; return the longest stall in seconds."""
        self._tick()
        self._timer.stop()
        return self.longest


class Driver(Notes):
    """What a script is given: Krita, waiting, and a place for what it found."""

    def __init__(self, folder, window):
        super().__init__(folder)
        self.krita, self.window = krita.Krita.instance(), window
        self._end = time.monotonic() + self.args["timeout"]
        self._running = False
        self._timer = QTimer()
        self._timer.timeout.connect(self._advance)

    def start(self):
        """Begin to run the script."""
        self.window.qwindow().setGeometry(0, 0, 1600, 1000)  # small without a window manager
        self._wait(None)
        try:
            self._script = self.load("drive")(self)
        except Exception:
            self._finish(traceback.format_exc())
        else:
            self._timer.start(0)

    # Waiting -------------------------------------------------------------

    def until(self, condition, timeout=60, what=""):
        """Yield this to wait for `condition` longer or shorter than a minute."""
        return (condition, timeout, what)

    def _wait(self, wanted):
        if isinstance(wanted, tuple):
            self._condition, seconds, self._what = wanted
        elif callable(wanted):
            self._condition, seconds, self._what = wanted, 60, ""
        else:
            seconds = (wanted or 0) + 30
            wake = time.monotonic() + (wanted or 0)
            self._condition, self._what = (lambda: time.monotonic() >= wake), "time"
        self._until = time.monotonic() + seconds * self.args["patience"]

    def _advance(self):
        if self._running:  # the script is inside a nested event loop, such as a dialog's
            return
        self._running = True
        try:
            value = self._condition()
            now = time.monotonic()
            if value:
                self._wait(self._script.send(None if self._what == "time" else value))
            elif now > self._until or now > self._end:
                what = self._what or "the condition this line yields"
                self._wait(self._script.throw(TimeoutError("waited in vain for " + what)))
        except StopIteration:
            self._finish("")
        except BaseException:
            self._finish(traceback.format_exc())
        else:
            self._timer.setInterval(0 if self._what == "time" else 10)
        finally:
            self._running = False

    def _finish(self, trace):
        self._timer.stop()
        try:
            if trace:
                modal = QApplication.activeModalWidget()
                if modal:
                    trace += f"A dialog is open: {modal.windowTitle()!r}\n"
                self.screenshot("failure.png")
        except Exception:
            trace += traceback.format_exc()
        self.write(trace)
        self._quit()

    def _quit(self):
        """Leave as a user does, but let nothing ask whether to save; QApplication.exit crashes."""
        for document in self.krita.documents():
            document.setBatchmode(True)
            document.setModified(False)
        modal = QApplication.activeModalWidget()
        if modal:
            modal.close()
            QTimer.singleShot(100, self._quit)
            return
        self.krita.action("file_quit").trigger()

    # Help for scripts ----------------------------------------------------

    def document(self, width=256, height=256, name="test", model="RGBA", depth="U8", profile="", dpi=72.0):
        """Make a document, show it and return it; with no profile given, the sRGB one."""
        profile = profile or "sRGB-elle-V2-srgbtrc.icc"
        document = self.krita.createDocument(width, height, name, model, depth, profile, dpi)
        document.setBatchmode(True)
        self.window.addView(document)
        return document

    def open(self, path):
        """Open a file, show it and return its document."""
        document = self.krita.openDocument(str(path))
        document.setBatchmode(True)
        self.window.addView(document)
        return document

    def trigger(self, name):
        """Trigger an action of Krita; yield once before looking at what it did."""
        self.krita.action(name).trigger()

    def docker(self, name):
        """Show the docker with that object name, in front, and return it."""
        for docker in self.krita.dockers():
            if docker.objectName() == name:
                docker.setVisible(True)
                docker.raise_()
                return docker
        raise LookupError(f"There is no docker {name!r}.")

    def widget(self, parent, name, kind=QObject):
        """Return the widget with that object name below `parent`."""
        found = parent.findChild(kind, name)
        if found is None:
            raise LookupError(f"There is no {name!r} in {parent.objectName()!r}.")
        return found

    def screenshot(self, name="window.png", widget=None):
        """Save Krita's window, its canvas too, or one widget as a PNG beside the result."""
        shown = widget or QApplication.activeModalWidget() or self.window.qwindow()
        shown.grab().save(self.path(name))

    @contextlib.contextmanager
    def stalls(self, name):
        """Note the longest stall of the UI thread inside this block, in seconds."""
        watch = StallWatch()
        try:
            yield watch
        finally:
            self.note(**{name: watch.stop()})


def run_without_window(_arguments=None):
    """Call the script's ``run(t)``: what Krita's runner starts."""
    notes = Notes(FOLDER)
    for folder in reversed(notes.args["path"]):
        sys.path.insert(0, folder)
    try:
        notes.krita = krita.Krita.instance()
        notes.load("run")(notes)
    except BaseException:
        notes.write(traceback.format_exc())
        return 1
    notes.write("")
    return 0


class DriverExtension(krita.Extension):
    """Starts the script once the first window is there."""

    def setup(self):
        notifier = krita.Krita.instance().notifier()
        notifier.setActive(True)
        notifier.windowCreated.connect(self._start)
        self._driver = None

    def createActions(self, window):
        """Krita asks for it; there are none."""

    def _start(self):
        if self._driver is None and FOLDER:
            self._driver = Driver(FOLDER, krita.Krita.instance().windows()[0])
            QTimer.singleShot(0, self._driver.start)


if FOLDER and not os.environ.get("VELATURA_DRIVER_NO_WINDOW"):
    krita.Krita.instance().addExtension(DriverExtension(krita.Krita.instance()))
