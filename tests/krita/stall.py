"""How long Krita's user interface stands still during an edit of a 4096 x 4096 document.

`python -m tests.krita.stall` runs the real Krita with the real daemon and a tiny model.  It prints, in
milliseconds, the longest gap between two turns of the event loop in each phase of an edit, beside Krita's own
calls on as many pixels.  A benchmark, not a test: the figures depend on the machine and what else it does.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from installer.hosts import find_hosts

from tests.daemon_fixture import Daemon
from tests.hosts.krita import KritaSession
from tests.krita.plugin import put_plugin
from tests.tiny import register_tiny_model, tiny_model

SIDE = 4096
SCRIPT = """
import time
from PyQt5.QtCore import QTimer, Qt

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


def ms(call):
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def drive(t):
    from velatura_krita.docker import session
    state = session().state
    docker = t.docker("velatura_docker")
    yield t.until(lambda: state.methods, 60, "methods")
    document = t.document(SIDE, SIDE)
    yield 2
    node = document.rootNode().childNodes()[0]
    node.setPixelData(bytes((40, 90, 200, 255)) * SIDE * SIDE, 0, 0, SIDE, SIDE)
    document.refreshProjection()
    yield 2
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
        gaps = Gaps(lambda: state.jobs[state.current].phase.name if state.current else "before")
        t.widget(docker, "run").click()
        yield t.until(lambda: state.jobs[state.current].phase.ended, 400, "the end")
        yield 1
        gaps.timer.stop()
        t.note(**{name: gaps.longest, name + ", said": state.status})
"""


def main() -> int:
    """Run the benchmark; return 1 where there is no Krita."""
    host = find_hosts().krita
    if host is None:
        print("There is no Krita here.")
        return 1
    with tempfile.TemporaryDirectory(prefix="velatura-stall-") as name:
        folder = Path(name)
        register_tiny_model(folder / "state", tiny_model(folder / "tiny"))
        plugin = put_plugin(folder / "plugin", state_dir=folder / "state")
        session = KritaSession(host, folder / "krita", plugins=[plugin])
        with Daemon(folder / "state"), session:
            found = session.window(SCRIPT, timeout=900)
    print(f"Krita {host.version}, {SIDE} x {SIDE}, RGBA, 8 bits; longest stall of the UI thread in ms")
    for call in ("pixelData", "refreshProjection"):
        middle, longest = statistics.median(found[call]), max(found[call])
        print(f"  Krita's own {call}: median {middle:.0f}, longest {longest:.0f}")
    print(f"  nothing going on: {max(found['idle'].values()):.0f}")
    for run in ("selection of 512 x 512", "whole layer"):
        phases = ", ".join(f"{phase.lower()} {gap:.0f}" for phase, gap in found[run].items())
        print(f"  {run}: {max(found[run].values()):.0f} ({phases})\n    {found[run + ', said']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
