"""Runs inside the real Krita: many edits one after the other; see `tests.krita.many`."""

import gc
import os

from PyQt5.QtCore import QByteArray
from PyQt5.QtWidgets import QApplication

SIDE = 96


def drive(t):
    from velatura_krita.docker import session

    docker = t.docker("velatura_docker")
    control = lambda name: t.widget(docker, name)  # noqa: E731
    yield t.until(lambda: control("run").isEnabled(), 60, "the daemon")
    document = t.document(SIDE, SIDE, name="many")
    source = document.rootNode().childNodes()[0]
    source.setPixelData(QByteArray(bytes((40, 90, 200, 255)) * SIDE * SIDE), 0, 0, SIDE, SIDE)
    document.refreshProjection()
    yield 0.5
    control("method").setCurrentIndex(control("method").findData("blended-latent-diffusion"))
    control("prompt").setPlainText("a hat")
    control("steps").setValue(2)
    jobs, edits, rows = session().state.jobs, t.args["edits"], []
    for done in range(edits + 1):
        if done % max(1, edits // 10) == 0:
            yield 1  # Qt deletes widgets, and Krita composes, in their own time
            rows.append(figures(done, document))
        if done == edits:
            break
        document.setActiveNode(source)
        control("run").click()
        yield t.until(lambda: ended(jobs), 120, "the end of an edit")
        yield 0.1
        if done % 2:
            t.trigger("edit_undo")
            yield 0.3
    t.note(rows=rows)


def ended(jobs):
    last = list(jobs.values())[-1].phase
    if last.name in ("FAILED", "CANCELLED"):
        raise RuntimeError(list(jobs.values())[-1].message)
    return last.name == "DONE"


def figures(done, document):
    gc.collect()
    with open("/proc/self/status") as status:
        memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return {
        "edits": done,
        "memory, MB": memory // 1024,
        "widgets": len(QApplication.allWidgets()),
        "threads": len(os.listdir("/proc/self/task")),
        "open files": len(os.listdir("/proc/self/fd")),
        "objects": len(gc.get_objects()),
        "layers": len(document.rootNode().childNodes()),
        "marks": len(document.annotationTypes()),
    }
