"""A Krita that is not there: layers that hold pixels, documents, selections, annotations.

It behaves as the real one was seen to behave (bytes in native order, undo steps, ids of clones, who copies
what), for the calls that the plugin makes.  What it cannot show, tests in the real Krita do.
"""

from __future__ import annotations

import functools
import sys
import types
import zipfile
from typing import Any

from PyQt6 import QtCore, QtGui, QtWidgets

PIXEL = {"RGBA": 4, "GRAYA": 2, "CMYKA": 5, "A": 1}
DEPTH = {"U8": 1, "U16": 2, "F16": 2, "F32": 4}
SRGB = "sRGB-elle-V2-srgbtrc.icc"
SIDE = 32  #: of the document that most tests begin with


class Node:
    """A layer: a sparse picture, children from the bottom up, and a parent."""

    def __init__(self, document: Document, name: str, kind: str) -> None:
        self._document, self._name, self._kind = document, name, kind
        self._id = QtCore.QUuid.createUuid()
        self._children: list[Node] = []
        self._parent: Node | None = None
        self._visible, self._offset = True, (0, 0)
        self._pixels: dict[tuple[int, int], bytes] = {}
        self.pass_through = self.is_animated = False
        self.blending, self.opaque, self.inherits = "normal", 255, False

    def name(self) -> str:
        return self._name

    def setName(self, name: str) -> None:
        self._name = name

    def type(self) -> str:
        return self._kind

    def uniqueId(self) -> QtCore.QUuid:
        return QtCore.QUuid(self._id)

    def colorModel(self) -> str:
        return self._document.model

    def colorDepth(self) -> str:
        return self._document.depth

    def colorProfile(self) -> str:
        return self._document.profile

    def animated(self) -> bool:
        return self.is_animated

    def blendingMode(self) -> str:
        return self.blending

    def setBlendingMode(self, mode: str) -> None:
        self.blending = mode

    def opacity(self) -> int:
        return self.opaque

    def setOpacity(self, value: int) -> None:
        self.opaque = value

    def inheritAlpha(self) -> bool:
        return self.inherits

    def setInheritAlpha(self, on: bool) -> None:
        self.inherits = on

    def remove(self) -> bool:
        self._parent.take(self)
        return True

    def visible(self) -> bool:
        return self._visible

    def setVisible(self, on: bool) -> None:
        self._visible = on

    def passThroughMode(self) -> bool:
        return self.pass_through

    def parentNode(self) -> Node | None:
        return self._parent

    def childNodes(self) -> list[Node]:
        return list(self._children)

    def move(self, x: int, y: int) -> None:
        dx, dy = x - self._offset[0], y - self._offset[1]
        self._offset = (x, y)
        self._pixels = {(px + dx, py + dy): value for (px, py), value in self._pixels.items()}

    def bounds(self) -> QtCore.QRect:
        clear = bytes(self._size())
        filled = [at for at, value in self._pixels.items() if value != clear]
        if not filled:
            boxes = [child.bounds() for child in self._children]
            return functools.reduce(QtCore.QRect.united, boxes, QtCore.QRect())
        xs, ys = [x for x, _ in filled], [y for _, y in filled]
        return QtCore.QRect(min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1)

    def pixelData(self, x: int, y: int, width: int, height: int) -> QtCore.QByteArray:
        clear = bytes(self._size())
        rows = (self._pixels.get((x + i, y + j), clear) for j in range(height) for i in range(width))
        return QtCore.QByteArray(b"".join(rows))

    projectionPixelData = pixelData

    def setPixelData(self, data: bytes, x: int, y: int, width: int, height: int) -> bool:
        size, data = self._size(), bytes(data)
        if len(data) < width * height * size:
            return False
        for j in range(height):
            for i in range(width):
                at = (j * width + i) * size
                self._pixels[x + i, y + j] = data[at : at + size]
        return True

    def addChildNode(self, child: Node, above: Node | None) -> bool:
        at = len(self._children) if above is None else self._children.index(above) + 1
        self._children.insert(at, child)
        child._parent = self
        child._adopt(self._document)
        self._document.undo_steps.append(f"add {child.name()}")
        self._document.active = child
        return True

    def take(self, child: Node) -> None:
        """Take a child out, as undo or a deletion does."""
        self._children.remove(child)

    def clone(self) -> Node:
        copy = Node(self._document, self._name, self._kind)
        copy._visible, copy._offset, copy._pixels = self._visible, self._offset, dict(self._pixels)
        copy.blending, copy.opaque, copy.inherits = self.blending, self.opaque, self.inherits
        copy._children = [child.clone() for child in self._children]
        for child in copy._children:
            child._parent = copy
        return copy

    def _adopt(self, document: Document) -> None:
        self._document = document
        for child in self._children:
            child._adopt(document)

    def setSelection(self, selection: Selection) -> None:
        rect = selection.x(), selection.y(), selection.width(), selection.height()
        self.setPixelData(selection.pixelData(*rect), *rect)

    def _size(self) -> int:
        if self._kind == "selectionmask":
            return 1
        return PIXEL[self._document.model] * DEPTH[self._document.depth]


class Selection:
    def __init__(self, x: int = 0, y: int = 0, width: int = 0, height: int = 0, data: bytes = b"") -> None:
        self._rect = (x, y, width, height)
        self._data = data or b"\xff" * (width * height)

    def x(self) -> int:
        return self._rect[0]

    def y(self) -> int:
        return self._rect[1]

    def width(self) -> int:
        return self._rect[2]

    def height(self) -> int:
        return self._rect[3]

    def duplicate(self) -> Selection:
        return Selection(*self._rect, self._data)

    def setPixelData(self, data: bytes, x: int, y: int, width: int, height: int) -> None:
        """As the plugin calls it: band below band."""
        left, top, own, high = self._rect if self._data else (x, y, width, 0)
        assert (left, own, top + high) == (x, width, y)
        self._rect, self._data = (left, top, own, high + height), self._data + bytes(data)

    def pixelData(self, x: int, y: int, width: int, height: int) -> QtCore.QByteArray:
        left, top, own, _ = self._rect
        rows = [self._data[(j - top) * own + x - left :][:width] for j in range(y, y + height)]
        return QtCore.QByteArray(b"".join(rows))


class Document:
    def __init__(self, width: int, height: int, name: str, model: str, depth: str, profile: str) -> None:
        self.model, self.depth, self.profile = model, depth, profile
        self._size, self._name, self.file = (width, height), name, ""
        self._root: Node | None = Node(self, "root", "grouplayer")
        self.active: Node | None = None
        self.chosen: Selection | None = None
        self.annotations: dict[str, bytes] = {}
        self.undo_steps: list[str] = []
        self.redo_step = ""
        self.is_modified = False  #: as a test says
        self.busy = 0  #: how many times it still says that it is at work

    def name(self) -> str:
        return self._name

    def currentTime(self) -> int:
        return 12

    def fileName(self) -> str:
        return self.file

    def width(self) -> int:
        return self._size[0]

    def height(self) -> int:
        return self._size[1]

    def resizeImage(self, _x: int, _y: int, width: int, height: int) -> None:
        self._size = (width, height)

    def rootNode(self) -> Node | None:
        return self._root

    def activeNode(self) -> Node | None:
        return self.active

    def setActiveNode(self, node: Node) -> None:
        self.active = node

    def selection(self) -> Selection | None:
        return self.chosen

    def nodeByUniqueID(self, wanted: QtCore.QUuid) -> Node | None:
        waiting = [self._root] if self._root is not None else []
        while waiting:
            node = waiting.pop()
            if node.uniqueId() == wanted:
                return node
            waiting += node.childNodes()
        return None

    def pixelData(self, x: int, y: int, width: int, height: int) -> QtCore.QByteArray:
        """The topmost pixel that is not clear, everywhere: nothing is composed here."""
        shown = [child for child in self._root.childNodes() if child.visible()]
        size = PIXEL[self.model] * DEPTH[self.depth]
        pixels = []
        for j in range(y, y + height):
            for i in range(x, x + width):
                found = [bytes(node.pixelData(i, j, 1, 1)) for node in shown]
                pixels.append(next((pixel for pixel in reversed(found) if any(pixel)), bytes(size)))
        return QtCore.QByteArray(b"".join(pixels))

    def projection(self, x: int, y: int, width: int, height: int) -> QtGui.QImage:
        """In 8 bits; the high bytes of 16."""
        data = bytes(self.pixelData(x, y, width, height))[DEPTH[self.depth] - 1 :: DEPTH[self.depth]]
        made = QtGui.QImage.Format.Format_ARGB32
        return QtGui.QImage(data, width, height, 4 * width, made).copy()

    def clone(self) -> Document:
        copy = Document(*self._size, self._name, self.model, self.depth, self.profile)
        for child in self._root.childNodes():
            twin = child.clone()
            twin._id = child.uniqueId()
            copy._root.addChildNode(twin, None)
        Krita.instance().unseen.append(copy)
        return copy

    def createNode(self, name: str, kind: str) -> Node:
        return Node(self, name, kind)

    def createSelectionMask(self, name: str) -> Node:
        return Node(self, name, "selectionmask")

    def colorModel(self) -> str:
        return self.model

    def colorDepth(self) -> str:
        return self.depth

    def colorProfile(self) -> str:
        return self.profile

    def createGroupLayer(self, name: str) -> Node:
        return Node(self, name, "grouplayer")

    def tryBarrierLock(self) -> bool:
        self.busy -= self.busy > 0
        return self._root is not None and self.busy == 0

    def unlock(self) -> None:
        """Nothing was held."""

    def refreshProjection(self) -> None:
        """Nothing is composed here."""

    def setBatchmode(self, on: bool) -> None:
        """No dialogs here anyway."""

    def exportImage(self, path: str, _options: InfoObject) -> bool:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mimetype", "application/x-kra")
            icc = Krita.instance().icc.get(self.profile)
            if icc:
                archive.writestr(f"{self._name}/annotations/icc", icc)
        return True

    def setModified(self, on: bool) -> None:
        self.is_modified = on

    def modified(self) -> bool:
        return self.is_modified

    def close(self) -> bool:
        self._root = self.active = None
        host = Krita.instance()
        host.open = [document for document in host.open if document is not self]
        return True

    def annotationTypes(self) -> list[str]:
        return list(self.annotations)

    def annotation(self, kind: str) -> QtCore.QByteArray:
        return QtCore.QByteArray(self.annotations.get(kind, b""))

    def setAnnotation(self, kind: str, _description: str, data: QtCore.QByteArray) -> None:
        self.annotations[kind] = bytes(data)

    def removeAnnotation(self, kind: str) -> None:
        del self.annotations[kind]


class Notifier(QtCore.QObject):
    applicationClosing = QtCore.pyqtSignal()

    def setActive(self, on: bool) -> None:
        """Always is."""


class Action(QtCore.QObject):
    triggered = QtCore.pyqtSignal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def text(self) -> str:
        document = Krita.instance().activeDocument()
        if self._name == "edit_redo":
            return f"Redo {document.redo_step}"
        return f"Undo {document.undo_steps[-1] if document.undo_steps else ''}"

    def trigger(self) -> None:
        document = Krita.instance().activeDocument()
        box = document.active.bounds()
        rect = box.x(), box.y(), box.width(), box.height()
        alpha = bytes(document.active.pixelData(*rect))
        alpha = alpha if document.active.type() == "selectionmask" else alpha[3::4]
        document.chosen = Selection(*rect, alpha) if self._name == "selectopaque" else None
        document.undo_steps.append(self._name)


class InfoObject:
    """The options of an export."""


class KisOpenGLCanvas2(QtWidgets.QWidget):
    """Where a picture shows."""


class Window:
    """A window, which is its own view: a picture with its canvas, scaled and shifted."""

    def __init__(self, document: Document) -> None:
        self.shown, self.scale, self.shift = document, 2.0, (30.0, 20.0)
        self.main, self.canvas = QtWidgets.QMainWindow(), KisOpenGLCanvas2()
        area = QtWidgets.QMdiArea()
        self.main.setCentralWidget(area)
        area.addSubWindow(self.canvas).showMaximized()
        self.main.resize(300, 240)
        self.main.show()

    def qwindow(self) -> QtWidgets.QMainWindow:
        return self.main

    def activeView(self) -> Window:
        return self

    def document(self) -> Document:
        return self.shown

    def flakeToImageTransform(self) -> QtGui.QTransform:
        return QtGui.QTransform.fromScale(2.0, 2.0)

    def flakeToCanvasTransform(self) -> QtGui.QTransform:
        scaled = QtGui.QTransform.fromScale(2.0 * self.scale, 2.0 * self.scale)
        return scaled * QtGui.QTransform.fromTranslate(*self.shift)


class Krita:
    _instance: Krita | None = None

    def __init__(self) -> None:
        self.open: list[Document] = []
        self.unseen: list[Document] = []  #: made by a plugin, without a view
        self.factories: list[Any] = []
        self.settings: dict[tuple[str, str], str] = {}
        self.icc: dict[str, bytes] = {}  #: the profiles by their names
        self._notifier = Notifier()
        self._actions: dict[str, Action] = {}
        self.extensions: list[Any] = []
        self.window: Window | None = None

    @classmethod
    def instance(cls) -> Krita:
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def version(self) -> str:
        return "5.2.9"

    def notifier(self) -> Notifier:
        return self._notifier

    def documents(self) -> list[Document]:
        return list(self.open)

    def activeDocument(self) -> Document | None:
        return self.open[-1] if self.open else None

    def createDocument(self, width, height, name, model, depth, profile, _dpi) -> Document:
        document = Document(width, height, name, model, depth, profile)
        self.unseen.append(document)
        return document

    def action(self, name: str) -> Action:
        return self._actions.setdefault(name, Action(name))

    def activeWindow(self) -> Window | None:
        return self.window

    def windows(self) -> list[Any]:
        return []

    def addExtension(self, extension: Any) -> None:
        self.extensions.append(extension)

    def readSetting(self, group: str, name: str, default: str) -> str:
        return self.settings.get((group, name), default)

    def writeSetting(self, group: str, name: str, value: str) -> None:
        self.settings[group, name] = value

    def addDockWidgetFactory(self, factory: Any) -> None:
        self.factories.append(factory)


class Extension(QtCore.QObject):
    def __init__(self, _parent: Any) -> None:
        super().__init__()


class DockWidget(QtWidgets.QDockWidget):
    """What Krita's is in Python."""


class DockWidgetFactoryBase:
    class DockPosition:
        DockRight = 1


class DockWidgetFactory:
    def __init__(self, name: str, position: int, made: type[DockWidget]) -> None:
        self.name, self.position, self.made = name, position, made


def install() -> None:
    """Let `import krita` and `import pykrita` find this."""
    here = sys.modules[__name__]
    bindings = types.ModuleType("pykrita")
    bindings.qt_major_version = lambda: 6
    sys.modules["krita"], sys.modules["pykrita"] = here, bindings
