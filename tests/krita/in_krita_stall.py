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
    """How much processor time the plugin's own code takes in one go, and where: the longest by place.

    The user interface's thread only, so that a busy machine and other threads do not count.
    """

    def __init__(self, session):
        from velatura_krita.steps import Stepper

        self.longest = {}
        kind = type(session)
        own = [name for name in vars(kind) if name.startswith("_on_") and name != "_on_news"]
        for name in [*own, "_inserted"]:
            setattr(kind, name, self.timed(getattr(kind, name), lambda *_, name=name: name))
        Stepper._step = self.timed(Stepper._step, lambda _stepper, steps, *_: place(steps))

    def timed(self, method, where):
        def call(*arguments):
            before, start = where(*arguments), time.thread_time()
            try:
                return method(*arguments)
            finally:
                spent, after = 1000 * (time.thread_time() - start), where(*arguments)
                key = before if after == before else f"{before} to {after}"
                self.longest[key] = max(self.longest.get(key, 0.0), spent)

        return call


def place(steps):
    """The line at which a generator, or the one that it waits for, stands; its end if it has ended."""
    while getattr(steps, "gi_yieldfrom", None) is not None:
        steps = steps.gi_yieldfrom
    frame = steps.gi_frame
    return f"{steps.__name__}:{frame.f_lineno if frame is not None else 'end'}"


def ms(call):
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def drive(t):
    from velatura_krita.docker import session

    state = session().state

    def phase():
        return state.jobs[state.current].phase.name if state.current else "before"

    own = Own(session())
    docker = t.docker("velatura_docker")
    yield t.until(lambda: state.known.methods, 60, "methods")
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
