"""Runs inside the real Krita: measures where its UI thread stands still; see `tests.krita.stall`."""

import time

from PyQt5.QtCore import Qt, QTimer

SIDE = 4096


class Gaps:
    def __init__(self, phase):
        self.phase, self.longest, self.last = phase, {}, time.perf_counter()
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self.tick)
        self.timer.start(1)

    def tick(self):
        now, phase = time.perf_counter(), self.phase()
        self.longest[phase] = max(self.longest.get(phase, 0.0), 1000 * (now - self.last))
        self.last = now


class Own:
    """How long the plugin's own code holds the thread, at the longest, by phase."""

    def __init__(self, session, phase):
        from velatura_krita.steps import Stepper

        self.longest = {}
        kind = type(session)
        handlers = [name for name in vars(kind) if name.startswith("_on_") and name != "_on_news"]
        for place, name in ((Stepper, "_step"), *((kind, name) for name in handlers)):
            setattr(place, name, self.timed(getattr(place, name), phase))

    def timed(self, method, phase):
        def call(*arguments):
            start = time.perf_counter()
            try:
                return method(*arguments)
            finally:
                now = phase()
                self.longest[now] = max(self.longest.get(now, 0.0), 1000 * (time.perf_counter() - start))

        return call


def ms(call):
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def drive(t):
    from velatura_krita.docker import session

    state = session().state

    def phase():
        return state.jobs[state.current].phase.name if state.current else "before"

    own = Own(session(), phase)
    docker = t.docker("velatura_docker")
    yield t.until(lambda: state.methods, 60, "methods")
    document = t.document(SIDE, SIDE)
    yield 2
    node = document.rootNode().childNodes()[0]
    node.setPixelData(bytes((40, 90, 200, 255)) * SIDE * SIDE, 0, 0, SIDE, SIDE)
    document.refreshProjection()
    yield 8  # the canvas is painted anew in Krita's own time
    t.note(pixelData=[ms(lambda: node.pixelData(0, 0, SIDE, SIDE)) for _ in range(5)])
    t.note(refreshProjection=[ms(document.refreshProjection) for _ in range(3)])
    idle = Gaps(lambda: "idle")
    yield 3
    idle.timer.stop()
    t.note(idle=idle.longest)
    from krita import Selection

    for name, rect in (("selection of 512 x 512", (2000, 2000, 512, 512)), ("whole layer", None)):
        document.setSelection(None)
        if rect:
            selection = Selection()
            selection.select(*rect, 255)
            document.setSelection(selection)
        yield 1
        t.widget(docker, "prompt").setPlainText("a hat")
        t.widget(docker, "steps").setValue(4)
        gaps, own.longest = Gaps(phase), {}
        t.widget(docker, "run").click()
        yield t.until(lambda: state.jobs[state.current].phase.ended, 400, "the end")
        yield 1
        gaps.timer.stop()
        t.note(**{name: gaps.longest, name + ", own": own.longest, name + ", said": state.status})
