"""Runs inside the real Krita behind `in_krita_day`: pictures that change while an edit of them runs."""
# ruff: noqa: F821 - the names of in_krita_day, which stands before it in one script

import math

SELECTED = (20, 10, 40, 30)


def detailed(t):
    """A picture that is different everywhere, and a selection."""
    from PyQt5.QtCore import QByteArray

    document = t.document(SIDE, SIDE, name="day")
    source = document.rootNode().childNodes()[0]
    pixels = b"".join(
        bytes(((x * 7 + y * 3) % 256, (x * y) % 251, (x * 2 + y * 5) % 256, 255))
        for y in range(SIDE)
        for x in range(SIDE)
    )
    source.setPixelData(QByteArray(pixels), 0, 0, SIDE, SIDE)
    document.refreshProjection()
    select(document, *SELECTED)
    return document, source


def picture_layers(document):
    """Without the mask by which Krita holds the selection."""
    return [n for n in document.rootNode().childNodes() if n.type() != "selectionmask"]


def begin(t, d):
    """Runs an edit that ends when `finish` says so; returns what to wait for."""
    if os.path.exists(t.args["let_end"]):
        os.remove(t.args["let_end"])
    d["status"].clear()
    d.run(method="until-told")
    return d.phase("QUEUED", "RUNNING")


def finish(t):
    open(t.args["let_end"], "w").close()


def done(d):
    return d.phase("DONE", "FAILED", "HOMELESS", "KEPT")


def change(t):
    """Scaled, turned, cropped, moved, changed and undone, flattened, and beyond recognition."""
    d = Day(t)
    yield d.ready()
    changes = {
        "scaled": lambda document, source: document.scaleImage(192, 192, 72, 72, "Bicubic"),
        "turned": lambda document, source: t.trigger("rotateImageCW90"),
        "mirrored": lambda document, source: t.trigger("mirrorImageHorizontal"),
        "cropped": lambda document, source: document.crop(10, 5, 60, 60),
        "moved": lambda document, source: source.move(7, -3),
        "flattened": lambda document, source: document.flatten(),
        "odd": lambda document, source: document.rotateImage(math.radians(33)),
    }
    found = {}
    for name, make in changes.items():
        document, source = detailed(t)
        yield 0.3
        yield begin(t, d)
        make(document, source)
        document.waitForDone()
        yield 0.3
        finish(t)
        yield done(d)
        yield 0.2
        group = picture_layers(document)[-1]
        found[name] = [group.type(), list(group.bounds().getRect()), d.status()]
        document.setModified(False)
        document.close()
        yield 0.2
    document, source = detailed(t)
    yield begin(t, d)
    document.scaleImage(192, 192, 72, 72, "Bicubic")
    document.waitForDone()
    yield 0.3
    t.trigger("edit_undo")
    yield 0.5
    finish(t)
    yield done(d)
    found["undone"] = [None, list(picture_layers(document)[-1].bounds().getRect()), d.status()]
    t.note(found=found)


def hand(t):
    """A selection is being dragged when the result comes; then the copies of a result."""
    from velatura_krita import recipes

    d = Day(t)
    yield d.ready()
    document, _source = detailed(t)
    t.trigger("KisToolSelectRectangular")
    yield 0.5
    yield begin(t, d)
    yield d.keys("press")
    finish(t)
    yield d.said("Finish your stroke to get the result.")
    t.note(held=stack(document))
    yield d.keys("lift")
    yield done(d)
    box = document.selection()
    t.note(after=stack(document), selected=[box.x(), box.y(), box.width(), box.height()])

    group = picture_layers(document)[-1]
    result = group.childNodes()[0]
    jobs = []

    def known(node):
        return lambda: recipes.read(document, node) is not None

    document.setActiveNode(result)
    yield 0.3
    t.trigger("duplicatelayer")
    yield 0.5
    copy = document.activeNode()
    yield t.until(known(copy), 30, "the recipe of a duplicate")
    jobs.append(recipes.read(document, copy).job)
    document.setActiveNode(group)
    yield 0.3
    t.trigger("flatten_layer")
    yield 0.7
    flat = picture_layers(document)[-1]
    document.setActiveNode(flat)
    yield t.until(known(flat), 30, "the recipe of a flattened group")
    jobs.append(recipes.read(document, flat).job)
    path = t.path("copies.kra")
    document.saveAs(path)
    document.waitForDone()
    again = t.krita.openDocument(path)  # the recipes of layers that are gone are let go now
    t.krita.activeWindow().addView(again)
    left = lambda: [a for a in again.annotationTypes() if a.startswith("velatura-recipe-")]  # noqa: E731
    yield t.until(lambda: len(left()) == 1, 30, "the others to go")
    t.note(jobs=len(set(jobs)), path=path, types=left())


def sees(t):
    """A multiplied layer over paper, with another above: what the model sees, and what then shows."""
    from PyQt5.QtCore import QByteArray

    d = Day(t)
    yield d.ready()
    document, _paper = detailed(t)
    root = document.rootNode()
    ink = document.createNode("ink", "paintlayer")
    root.addChildNode(ink, None)
    ink.setPixelData(QByteArray(bytes((120, 200, 90, 255)) * SIDE * SIDE), 0, 0, SIDE, SIDE)
    yield 0.5  # Krita adds it in its own time
    ink.setBlendingMode("multiply")
    ink.setOpacity(180)
    top = document.createNode("top", "paintlayer")
    root.addChildNode(top, None)
    top.setPixelData(QByteArray(bytes((1, 2, 3, 255)) * 100), 80, 80, 10, 10)
    yield 0.5
    document.setActiveNode(ink)
    document.refreshProjection()
    yield 0.7
    before = bytes(document.pixelData(0, 0, SIDE, SIDE))
    found = {}
    for choice in ("layer", "below", "visible"):
        d["sees"].setCurrentIndex(d["sees"].findData(choice))
        d["status"].clear()
        if choice == "layer":
            t.screenshot("sees.png", d.docker)
        d.run("hat")
        yield done(d)
        yield 0.5
        after = bytes(document.pixelData(0, 0, SIDE, SIDE))
        x, y, width, height = SELECTED
        changed = [
            (i // 4 % SIDE, i // 4 // SIDE)
            for i in range(0, len(after), 4)
            if after[i : i + 4] != before[i : i + 4]
        ]
        outside = [p for p in changed if not (x <= p[0] < x + width and y <= p[1] < y + height)]
        found[choice] = [stack(document), len(changed), len(outside), d.status()]
        t.trigger("edit_undo")
        yield 0.7
        found[choice] += [stack(document), bytes(document.pixelData(0, 0, SIDE, SIDE)) == before]
        document.setActiveNode(ink)
        yield 0.3
    t.note(found=found, documents=len(t.krita.documents()))


def drive(t):
    yield from {"change": change, "hand": hand, "sees": sees}[t.args["scene"]](t)
