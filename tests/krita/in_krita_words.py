"""Runs inside the real Krita: masks that become selections, a word that is turned up, and previews."""

import contextlib
import itertools

SIDE = 64
RECT = (8, 10, 40, 30)


def soft(step):
    """A mask of the layer's size, 0 outside RECT."""
    x, y, width, height = RECT
    rows = [bytearray(SIDE) for _ in range(SIDE)]
    for j in range(height):
        rows[y + j][x : x + width] = bytes((1 + (i * step + j) % 255) for i in range(width))
    return b"".join(rows)


def cut(mask):
    x, y, width, height = RECT
    return b"".join(mask[(y + j) * SIDE + x :][:width] for j in range(height))


def layer(name, data, job):
    from velatura_krita.insert import Layer
    from velatura_krita.velatura_protocol.rasters import Raster

    raster = Raster("", SIDE, SIDE, "A", "u8", "", (0, 0, SIDE, SIDE))
    return Layer(name, raster, {"job": job, "variation": 0, "inputs": {"mask": None}}, data)


def put(t, document, job, layers):
    """Deliver the masks as the session does; what it says."""
    from velatura_krita.docker import session
    from velatura_krita.journal import Entry
    from velatura_krita.masks import deliver
    from velatura_krita.places import root_id
    from velatura_krita.recipes import bare

    source = document.rootNode().childNodes()[0]
    entry = Entry(job, bare(source.uniqueId()), root_id(document), "", "words", 0.0)
    ended = []
    session().stepper.start(deliver(t.krita, entry, "Words", layers), ended.append, ended.append)
    return ended


def tree(node):
    kinds = [(c.name(), c.type(), tree(c)) for c in node.childNodes()]
    return [k for k in kinds if k[0] != "Selection Mask"]  # Krita's own, for what is selected


def selected(document):
    selection = document.selection()
    if selection is None:
        return None
    box = selection.x(), selection.y(), selection.width(), selection.height()
    return box, bytes(selection.pixelData(*RECT))


def masks(t):
    from krita import Selection

    document = t.document(SIDE, SIDE, depth="U16")
    yield 0.5
    source = document.rootNode().childNodes()[0]
    source.setPixelData(bytes(range(256)) * (SIDE * SIDE * 8 // 256), 0, 0, SIDE, SIDE)
    document.refreshProjection()
    yield 0.5
    before = bytes(document.pixelData(0, 0, SIDE, SIDE)), bytes(source.pixelData(0, 0, SIDE, SIDE))
    selection = Selection()
    selection.select(2, 2, 5, 5, 255)
    document.setSelection(selection)
    yield 0.3
    chosen = selected(document)
    ended = put(t, document, "one", [layer("beard", soft(5), "one")])
    yield t.until(lambda: ended, 60, "one mask")
    yield 0.3
    t.note(one=str(ended[0]), one_tree=tree(document.rootNode()), active=document.activeNode().name())
    t.note(one_selected=selected(document) == (RECT, cut(soft(5))))
    t.screenshot("mask.png")
    t.trigger("edit_undo")
    yield 0.5
    t.note(undone=selected(document) == chosen, undone_tree=tree(document.rootNode()))
    t.trigger("edit_redo")
    yield 0.5
    t.note(redone=selected(document) == (RECT, cut(soft(5))))
    t.trigger("edit_undo")
    yield 0.5
    t.trigger("edit_undo")
    yield 0.5
    t.note(undone_twice=tree(document.rootNode()), still=selected(document) == chosen)

    ended = put(t, document, "two", [layer("hat", soft(3), "two"), layer("beard", soft(5), "two")])
    yield t.until(lambda: ended, 60, "two masks")
    yield 0.5
    t.note(two=str(ended[0]), two_tree=tree(document.rootNode()), two_selected=selected(document) == chosen)
    after = bytes(document.pixelData(0, 0, SIDE, SIDE)), bytes(source.pixelData(0, 0, SIDE, SIDE))
    t.note(unchanged=after == before)
    path = t.path("masks.kra")
    document.saveAs(path)
    document.close()
    yield 0.5
    document = t.open(path)
    yield 0.5
    group = document.rootNode().childNodes()[1]
    t.note(reopened=tree(document.rootNode()))
    document.setActiveNode(group.childNodes()[1])
    yield 0.5
    t.trigger("selectopaque")
    yield 0.5
    t.note(hat=selected(document) == (RECT, cut(soft(3))))


def word(t):
    """With the method that is about words, whichever it is: one word up, and the recipe that remembers."""
    from velatura_krita.docker import session
    from velatura_krita.recipes import read

    docker = t.docker("velatura_docker")
    control = lambda name: t.widget(docker, name)  # noqa: E731
    yield t.until(lambda: control("run").isEnabled(), 60, "the daemon")
    found = next(m for m in session().state.known.methods if m.words and m.result == "layer")
    method, group = found.id, found.words.key
    document = t.document(SIDE, SIDE)
    yield 0.5
    source = document.rootNode().childNodes()[0]
    source.setPixelData(bytes((40, 90, 200, 255)) * (SIDE * SIDE), 0, 0, SIDE, SIDE)
    document.refreshProjection()
    control("method").setCurrentIndex(control("method").findData(method))
    t.note(looking=control("propose").text())  # the method asks by itself
    panel = docker.widget()
    caption = panel.controls.prompts.source
    yield t.until(lambda: caption.value() or control("status").text(), 120, "a caption")
    t.note(proposed=caption.value(), jobs=len(session().state.jobs))
    caption.edit.undo()
    t.note(undone=caption.value(), begun=control("prompt").toPlainText())
    caption.set_value("a man")
    control("copy").click()
    t.note(copied=control("prompt").toPlainText())
    words = panel.controls.prompts.words
    words.choose(1)
    yield 0.3
    field = next(e for e in words.strip.rows.editors.values() if e.spec.kind == "number")
    field.slider.setValue(field.slider.maximum())
    t.note(chip=words.chips[1].text(), field=field.spec.key, most=field.spec.maximum)
    t.note(typed=list(typing(t, control("prompt"), words)))
    control("variations").setValue(1)
    for key in ("steps", "inversion_steps"):
        with contextlib.suppress(LookupError):
            control(key).setValue(4)
    yield 0.3
    t.screenshot("words.png", docker)
    control("run").click()
    yield t.until(lambda: control("status").text(), 400, "the end")
    t.note(said=control("status").text())
    yield 0.5
    nodes = document.rootNode().childNodes()
    recipe = read(document, nodes[1].childNodes()[0]).request if len(nodes) > 1 else {}
    t.note(entries=recipe.get("parameters", {}).get(group), left=control("status").text())


def typing(t, editor, words):
    """The chips after each of a few things that a person does to the word "man" of the prompt "a man"."""

    editor.moveCursor(editor.textCursor().MoveOperation.End)

    def shown():
        return [chip.text() for chip in words.chips if not chip.isHidden()]

    def type_in(text):
        for letter in text:
            editor.textCursor().insertText(letter)

    def select_last_word():
        cursor = editor.textCursor()
        cursor.movePosition(cursor.MoveOperation.End)
        cursor.movePosition(cursor.MoveOperation.StartOfWord, cursor.MoveMode.KeepAnchor)
        editor.setTextCursor(cursor)

    type_in("s")
    yield shown()
    editor.textCursor().deletePreviousChar()
    select_last_word()
    type_in("cat")  # over it
    yield shown()
    select_last_word()
    editor.textCursor().removeSelectedText()
    yield shown()
    editor.undo()
    yield shown()
    select_last_word()
    editor.textCursor().removeSelectedText()
    editor.moveCursor(editor.textCursor().MoveOperation.Start)
    type_in("the cat and ")
    yield shown()
    editor.setPlainText("a cat")
    select_last_word()
    type_in("man")
    yield shown()


def draft(t):
    """A slider is moved, key by key and in a drag; its previews come, and nothing else does."""
    from velatura_krita.docker import session

    docker = t.docker("velatura_docker")
    control = lambda name: t.widget(docker, name)  # noqa: E731
    yield t.until(lambda: control("run").isEnabled(), 60, "the daemon")
    document = t.document(SIDE, SIDE)
    yield 0.5
    source = document.rootNode().childNodes()[0]
    source.setPixelData(bytes((40, 90, 200, 255)) * (SIDE * SIDE), 0, 0, SIDE, SIDE)
    document.refreshProjection()
    control("method").setCurrentIndex(control("method").findData("blended-latent-diffusion"))
    yield 0.5
    control("prompt").setPlainText("a hat")
    control("steps").setValue(4)
    slider = next(w for w in docker.findChildren(type(control("steps.slider"))) if w.isVisible())
    yield 1
    state, shown = session().state, []
    jobs, picture = len(state.jobs), lambda: (p := control("preview").pixmap()) and p.cacheKey()
    for position in (2, 3, 4):
        slider.setValue(slider.minimum() + position)
        old, before = state.draft, picture()
        ended = lambda old=old: state.draft not in (None, old) and state.draft.phase.name == "DONE"  # noqa: E731
        yield t.until(ended, 300, "a draft")
        shown.append(not control("preview").pixmap().isNull() and picture() != before)
    places, old = itertools.cycle((5, 6, 7, 8)), state.draft
    is_done = lambda: state.draft not in (None, old) and state.draft.phase.name == "DONE"  # noqa: E731
    yield t.until(lambda: slider.setValue(slider.minimum() + next(places)) or is_done(), 300, "one in a drag")
    yield t.until(lambda: is_done() and not session().drafts._timer.isActive(), 300, "the last one")
    t.screenshot("draft.png", docker)
    t.note(
        shown=shown,
        jobs=len(state.jobs) - jobs,
        tree=tree(document.rootNode()),
        kept=document.annotationTypes(),
    )
    control("run").click()
    yield t.until(lambda: len(document.rootNode().childNodes()) == 2, 300, "the edit")
    yield t.until(lambda: "1 variation above" in control("status").text(), 60, "what was made")
    t.note(after=len(document.rootNode().childNodes()))


def drive(t):
    """The scenes in one Krita; each one's notes under its name."""
    notes = {}
    for scene in (masks, word, draft):
        t.step(scene.__name__)
        yield from scene(t)
        notes[scene.__name__] = dict(t.values)
        t.values.clear()
    t.note(**notes)
