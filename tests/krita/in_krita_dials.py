"""Runs inside the real Krita: a dial made of a word of the caption is moved, run, and brought back."""

SIDE = 64


def drive(t):
    """With the first method that has dials, whichever it is."""
    from velatura_krita.docker import session
    from velatura_krita.recipes import read

    docker = t.docker("velatura_docker")
    control = lambda name: t.widget(docker, name)  # noqa: E731
    yield t.until(lambda: control("run").isEnabled(), 60, "the daemon")
    state, controls = session().state, docker.widget().controls
    document = t.document(SIDE, SIDE)
    yield 0.5
    source = document.rootNode().childNodes()[0]
    source.setPixelData(bytes((40, 90, 200, 255)) * (SIDE * SIDE), 0, 0, SIDE, SIDE)
    document.refreshProjection()
    yield 0.5
    control("method").setCurrentIndex(control("method").findData(state.known.dialler.id))
    dials = controls.prompts.dials
    yield t.until(lambda: controls.prompts.source.value(), 120, "a caption")
    control("steps").setValue(4)
    chip = dials.chips.widgets[0]
    t.note(caption=controls.prompts.source.value(), word=chip.text())
    chip.click()
    dial = dials.dials[0]
    strength = dial.number.spec
    t.note(
        title=dial.title.full, begun=dials.value()[0]["strength"] == strength.default, most=strength.maximum
    )
    done = lambda: state.draft is not None and state.draft.phase.name == "DONE"  # noqa: E731
    yield t.until(lambda: done() and not session().drafts._timer.isActive(), 300, "a draft of the new dial")
    old = state.draft
    dial.number.slider.setValue(dial.number.slider.maximum())
    yield t.until(lambda: state.draft not in (None, old) and done(), 300, "a draft of the moved dial")
    t.note(shown=not control("preview").pixmap().isNull(), jobs=len(state.jobs))
    t.screenshot("dials.png", docker)
    control("run").click()
    yield t.until(lambda: "1 variation above" in control("status").text(), 400, "the edit")
    yield 0.5
    group = document.rootNode().childNodes()[1]
    recipe = read(document, group.childNodes()[0]).request
    t.note(group=group.name(), kind=group.type(), dials=recipe["parameters"][dials.spec.key])

    dials.set_value([])
    controls.prompts.source.set_value("")
    document.setActiveNode(group)
    yield t.until(lambda: control("adjust").isEnabled(), 60, "adjust")
    control("adjust").click()
    t.note(again=controls.prompts.dials.value(), titles=[d.title.full for d in controls.prompts.dials.dials])
    t.note(caption_again=controls.prompts.source.value())
