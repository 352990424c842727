"""Runs inside the real Krita: an edit by dials as an artist does it; see `tests.krita.picture`."""

from PyQt5.QtCore import Qt

HIDDEN = ("PresetDocker", "ColorSelectorNg", "sharedtooldocker")


def drive(t):
    window = t.window.qwindow()
    window.setGeometry(0, 0, 1160, 860)
    t.open(t.args["portrait"])
    yield 1
    for docker in t.krita.dockers():
        if docker.objectName() in HIDDEN:
            docker.setVisible(False)
    yield 0.5
    docker = t.docker("velatura_docker")
    layers = next(d for d in t.krita.dockers() if d.objectName() == "KisLayerBox")
    window.resizeDocks([layers, docker], [t.args["width"]] * 2, Qt.Orientation.Horizontal)
    height = t.args["height"]
    window.resizeDocks([layers, docker], [800 - height, height], Qt.Orientation.Vertical)
    t.trigger("zoom_to_fit")
    control = lambda name: t.widget(docker, name)  # noqa: E731
    yield t.until(lambda: control("run").isEnabled(), 60, "the daemon")
    yield from edit_by_dials(t, docker, control)
    yield 4  # Krita draws the layers' thumbnails in its own time
    t.screenshot("docker.png")


def edit_by_dials(t, docker, control):
    """With the method that has dials, whichever it is."""
    from velatura_krita.docker import session

    state, controls = session().state, docker.widget().controls
    control("method").setCurrentIndex(control("method").findData(state.known.dialler.id))
    yield 0.5
    caption = controls.prompts.source
    if control("propose").isEnabled() and control("propose").isVisible():  # the method asks by itself
        yield t.until(lambda: caption.value() or control("status").text(), 120, "a caption")
    if not caption.value():
        caption.set_value(t.args["caption"])
    dials = controls.prompts.dials
    dials.set_value([{"name": "", **dial} for dial in t.args["dials"]])
    control("variations").setValue(1)
    control("seed").setValue(t.args["seed"])
    yield 0.5
    control("run").click()
    yield t.until(lambda: control("status").text(), 500, "the end")
    t.note(status=control("status").text())
    number = dials.dials[0].number
    number.slider.setValue(number.slider.value() + 3)
    ended = lambda: state.draft is not None and state.draft.phase.name == "DONE"  # noqa: E731
    yield t.until(ended, 300, "a preview of the next one")
