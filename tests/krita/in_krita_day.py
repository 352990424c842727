"""Runs inside the real Krita: tools that are open, results one above another, keys; see `test_real_day`."""

import os

SIDE = 96
WAITS = "Finish your transform (Enter, or Esc to give it up)"


class Day:
    """The docker's controls by their object names, and a picture to edit."""

    def __init__(self, t):
        self.t, self.docker = t, t.docker("velatura_docker")

    def __getitem__(self, name):
        return self.t.widget(self.docker, name)

    def status(self):
        label = self["status"]
        return label.text() if label.isVisible() else ""

    def ready(self):
        return self.t.until(lambda: self["run"].isEnabled(), 60, "the daemon")

    def choose(self, method="blended-latent-diffusion"):
        """That one needs no caption."""
        self["method"].setCurrentIndex(self["method"].findData(method))

    def run(self, prompt="a hat", steps=4, variations=1, method="blended-latent-diffusion"):
        self.choose(method)
        self["prompt"].setPlainText(prompt)
        self["variations"].setValue(variations)
        self["steps"].setValue(steps)
        self["run"].click()

    def said(self, words, seconds=240):
        return self.t.until(lambda: words in self.status(), seconds, f"status {words!r}")

    def phase(self, *names):
        from velatura_krita.docker import session

        last = lambda: list(session().state.jobs.values())[-1].phase.name  # noqa: E731
        return self.t.until(lambda: last() in names, 240, f"a job that is {names}")

    def keys(self, step):
        """Until the test, which is told `step`, has pressed its keys."""
        self.t.step(step)
        return self.t.until(lambda: os.path.exists(self.t.path(step)), 60, f"the keys of {step!r}")


def picture(t):
    from PyQt5.QtCore import QByteArray

    document = t.document(SIDE, SIDE, name="day")
    source = document.rootNode().childNodes()[0]
    pixels = b"".join(bytes((40 + y, 90, 200 - y, 255)) * SIDE for y in range(SIDE))
    source.setPixelData(QByteArray(pixels), 0, 0, SIDE, SIDE)
    document.refreshProjection()
    return document, source


def select(document, *rect):
    from krita import Selection

    selection = Selection()
    selection.select(*rect, 255)
    document.setSelection(selection)


def stack(document):
    return [(n.name().partition(" ·")[0], n.visible()) for n in document.rootNode().childNodes() if
            n.type() != "selectionmask"]  # fmt: skip


def shown(group):
    """The numbers, from the top, of the variations that show."""
    return [i for i, node in enumerate(reversed(group.childNodes())) if node.visible()]


def tool(t, name):
    t.trigger(name)
    return 0.7


def held(t):
    """A result that comes while the Transform tool is open, and Run while it is; then other tools."""
    d = Day(t)
    yield d.ready()
    document, source = picture(t)
    yield 0.5
    d.run(method="until-told")
    yield d.phase("QUEUED", "RUNNING")
    yield tool(t, "KisToolTransform")
    open(t.args["let_end"], "w").close()
    yield d.said(WAITS)
    t.note(waits=d.status(), cancel=d["cancel"].isEnabled(), stack=stack(document))
    t.screenshot("waits.png", d.docker)
    yield d.keys("finish")
    yield d.said("1 variation above")
    t.note(after=stack(document))
    t.trigger("edit_undo")
    yield 0.5

    document.setActiveNode(source)
    yield 0.5
    yield tool(t, "KritaShape/KisToolBrush")
    yield tool(t, "KisToolTransform")
    d.run()
    yield  # one turn
    yield
    t.note(at_once=d.status())
    t.screenshot("held.png", d.docker)
    d["cancel"].click()
    t.note(cancelled=d.status())
    d.run()
    yield d.said(WAITS)
    yield d.keys("finish again")
    yield d.said("1 variation above")
    t.note(began=stack(document))

    yield tool(t, "KritaShape/KisToolBrush")
    t.trigger("krita_filter_blur")
    yield 1
    d.run()
    yield d.said("Close the window of the filter to begin.")
    d["cancel"].click()
    from PyQt5.QtWidgets import QApplication

    for widget in QApplication.topLevelWidgets():
        if widget.metaObject().className() == "KisDlgFilter":
            widget.close()
    yield 0.5


def left(t):
    """A result that waits while Krita is closed."""
    d = Day(t)
    yield d.ready()
    document, _source = picture(t)
    yield 0.5
    t.note(saved=document.saveAs(t.args["file"]))
    d.run(method="until-told")
    yield d.phase("QUEUED", "RUNNING")
    yield tool(t, "KisToolTransform")
    open(t.args["let_end"], "w").close()
    yield d.said(WAITS)


def dies(t):
    """The test kills Krita when the result is in the picture and nothing of it is saved."""
    d = Day(t)
    yield d.ready()
    document, _source = picture(t)
    yield 0.5
    document.saveAs(t.args["file"])
    d.run()
    yield d.said("1 variation above")
    yield 1.5
    t.step("inserted")
    yield 300


def found_again(t):
    d = Day(t)
    document = t.open(t.args["file"])
    yield d.said("1 variation above")
    yield 0.5
    t.note(stack=stack(document))


def results(t):
    """Two results of one source, the artist's own layer, a result elsewhere, undo and redo; then a choice."""
    d = Day(t)
    yield d.ready()
    document, source = picture(t)
    yield 0.5
    select(document, 10, 10, 40, 40)
    d.run("one", variations=2)
    yield d.said("2 variations above")
    d["status"].clear()
    own = document.createNode("own", "paintlayer")
    document.rootNode().addChildNode(own, None)
    yield 0.3
    document.setActiveNode(source)
    select(document, 60, 60, 20, 20)
    d.run("elsewhere")
    yield d.said("1 variation above")
    t.note(elsewhere=stack(document))
    d["status"].clear()
    select(document, 20, 20, 40, 40)
    d.run("two", variations=3)
    yield d.said("3 variations above")
    yield 0.3
    t.note(two=stack(document))
    t.screenshot("two.png")
    seen = []
    for name in ("edit_undo", "edit_redo", "edit_undo", "edit_undo", "edit_redo", "edit_redo"):
        t.trigger(name)
        yield 0.5
        seen.append(stack(document))
    t.note(steps=seen)

    group = document.rootNode().childNodes()[3]
    document.setActiveNode(source)
    yield t.until(lambda: d["next"].isEnabled(), 20, "a choice")
    choice = []
    for name in ("next", "next", "next", "previous"):
        t.trigger(f"velatura_{name}")
        yield 0.3
        choice.append((shown(group), d.status()))
    t.note(choice=choice)
    t.screenshot("choice.png", d.docker)
    third = list(reversed(group.childNodes()))[2]
    kept = bytes(third.pixelData(0, 0, SIDE, SIDE))
    t.trigger("velatura_keep")
    yield d.said("is kept as one layer")
    yield 0.3
    layer = document.rootNode().childNodes()[3]
    t.note(
        kept=stack(document), kept_type=layer.type(), same=bytes(layer.pixelData(0, 0, SIDE, SIDE)) == kept
    )
    t.screenshot("kept.png", d.docker)
    t.trigger("edit_undo")
    yield 0.5
    t.note(unkept=(stack(document), len(document.rootNode().childNodes()[3].childNodes())))
    t.trigger("edit_redo")
    yield 0.5
    yield from once_more(t, d, document, source)


def once_more(t, d, document, source):
    """What was kept is adjusted, and stays when its source is edited again; saved and opened."""
    from velatura_krita.recipes import read

    layer = document.rootNode().childNodes()[3]
    t.note(rekept=stack(document), recipe=read(document, layer).request["prompt"])
    document.setActiveNode(layer)
    yield t.until(lambda: d["adjust"].isEnabled(), 20, "adjust")
    d["prompt"].clear()
    d["adjust"].click()
    yield d.said("run them again")
    box = document.selection()
    t.note(adjusted=d["prompt"].toPlainText(), active=document.activeNode().name())
    t.note(selected=[box.x(), box.y(), box.width(), box.height()])
    d["status"].clear()
    d.run("three")
    yield d.said("1 variation above")
    t.note(three=stack(document))
    path = t.path("results.kra")
    document.saveAs(path)
    document.close()
    yield 0.5
    document = t.open(path)
    yield 0.5
    t.note(reopened=stack(document))


def keys(t):
    """Real keys: in the prompt, in a number, a shortcut of the person's own, and Krita's search."""
    from PyQt5.QtGui import QKeySequence
    from PyQt5.QtWidgets import QApplication
    from velatura_krita.docker import session

    d = Day(t)
    yield d.ready()
    document, _source = picture(t)
    yield 0.5
    floating = lambda: sum(  # noqa: E731
        w.isVisible() and w.metaObject().className() == "KisFloatingMessage"
        for w in QApplication.allWidgets()
    )
    searches = lambda: [w for w in QApplication.allWidgets() if w.isVisible() and  # noqa: E731
                        w.metaObject().className() == "KateCommandBar"]  # fmt: skip
    d.choose()
    d["steps"].setValue(4)
    d["variations"].setValue(2)
    t.trigger("velatura_prompt")
    yield 0.5
    yield d.keys("prompt")
    yield d.said("2 variations above")
    t.note(prompt=d["prompt"].toPlainText(), searches=len(searches()))
    d["variations"].setFocus()
    d["status"].clear()
    yield d.keys("number")
    yield d.said("2 variations above")
    t.note(number=stack(document), searches_after_number=len(searches()))
    group = document.rootNode().childNodes()[-1]
    t.krita.action("velatura_next").setShortcut(QKeySequence("Ctrl+Alt+N"))
    yield d.keys("shortcut")
    yield d.said("2 of 2")
    t.note(shown=shown(group))
    yield d.keys("search")
    yield d.said("is kept as one layer", 30)
    d.docker.setVisible(False)
    yield 0.3
    t.trigger("velatura_cancel")
    yield 0.5
    t.note(kept=stack(document), said=d["status"].text(), floats=floating())
    yield t.until(lambda: not floating(), 30, "the message to go")
    yield tool(t, "KisToolTransform")
    t.trigger("velatura_run")
    yield 0.5
    t.note(held=list(session().state.jobs.values())[-1].obstacle, held_floats=floating())
    t.trigger("velatura_cancel")
    yield 0.5


def drive(t):
    scenes = {
        "held": held,
        "left": left,
        "dies": dies,
        "found": found_again,
        "results": results,
        "keys": keys,
    }
    yield from scenes[t.args["scene"]](t)
