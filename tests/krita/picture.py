"""The picture of the docker in the README: a real edit of the sample portrait in the real Krita.

`python -m tests.krita.picture` writes plugin_krita/docker.png.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from installer.hosts import find_hosts
from PIL import Image

from tests.daemon_fixture import Daemon
from tests.hosts.krita import KritaSession
from tests.krita.plugin import REPOSITORY, put_plugin

SAMPLES = REPOSITORY / "backend/velatura/samples"
PICTURE = REPOSITORY / "plugin_krita/docker.png"
EDIT = "glasses"
SCRIPT = """
from krita import Selection
from PyQt5.QtCore import Qt
from PyQt5.QtGui import QImage

HIDDEN = ("PresetDocker", "ColorSelectorNg", "sharedtooldocker")


def drive(t):
    window = t.window.qwindow()
    window.setGeometry(0, 0, 1280, 860)
    document = t.open(t.args["portrait"])
    yield 1
    for docker in t.krita.dockers():
        if docker.objectName() in HIDDEN:
            docker.setVisible(False)
    yield 0.5
    docker = t.docker("velatura_docker")
    layers = next(d for d in t.krita.dockers() if d.objectName() == "KisLayerBox")
    window.resizeDocks([layers, docker], [340, 340], Qt.Orientation.Horizontal)
    window.resizeDocks([layers, docker], [300, 500], Qt.Orientation.Vertical)
    yield t.until(lambda: t.widget(docker, "method").count(), 60, "methods")
    mask = QImage(t.args["mask"]).convertToFormat(QImage.Format.Format_Grayscale8)
    width, height = mask.width(), mask.height()
    bits = mask.constBits()
    bits.setsize(mask.sizeInBytes())
    data = bytes(bits)
    rows = b"".join(data[y * mask.bytesPerLine() :][:width] for y in range(height))
    selection = Selection()
    selection.setPixelData(rows, 0, 0, width, height)
    document.setSelection(selection)
    t.widget(docker, "prompt").setPlainText(t.args["prompt"])
    t.widget(docker, "variations").setValue(4)
    t.widget(docker, "seed").setValue(t.args["seed"])
    t.trigger("zoom_to_fit")
    yield 1
    t.widget(docker, "run").click()
    yield t.until(lambda: t.widget(docker, "status").text(), 500, "the end")
    t.note(status=t.widget(docker, "status").text())
    document.setSelection(None)
    yield 1
    t.screenshot("docker.png")
"""


def main(seed: int = 1) -> int:
    """Make the picture; return 1 where there is no Krita."""
    host = find_hosts().krita
    if host is None:
        print("There is no Krita here.")
        return 1
    edit = json.loads((SAMPLES / "samples.json").read_text())["edits"][EDIT]
    with tempfile.TemporaryDirectory(prefix="velatura-picture-") as name:
        folder = Path(name)
        plugin = put_plugin(folder / "plugin", state_dir=folder / "state")
        session = KritaSession(host, folder / "krita", plugins=[plugin])
        portrait, mask = SAMPLES / "portrait.png", SAMPLES / edit["mask"]
        with Daemon(folder / "state"), session:
            found = session.window(
                SCRIPT, timeout=700, portrait=portrait, mask=mask, prompt=edit["prompt"], seed=seed
            )
            picture = Image.open(found.folder / "docker.png").convert("RGB")
            picture.save(PICTURE, optimize=True)
    print(f"{found['status']} {PICTURE}: {PICTURE.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
