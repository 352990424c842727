"""OpenRaster and PSD files open as layers in the real Krita, at their own depth, and in the real GIMP.

GIMP 3.0 reads OpenRaster at 8 bits.
"""

import numpy as np
import pytest

from velatura.files.images import Image, Layer
from velatura.files.writing import write

pytest.importorskip("fcntl", reason="the hosts are driven on Linux and macOS only")

from tests.hosts.gimp import GimpSession
from tests.hosts.krita import KritaSession

IN_KRITA = """
def run(t):
    for name in t.args["names"]:
        document = t.krita.openDocument(t.args["place"] + "/" + name)
        document.waitForDone()
        source, group = document.topLevelNodes()
        if source.type() == "grouplayer":
            source, group = group, source
        data = source.pixelData(0, 0, document.width(), document.height())
        t.note(**{name: {
            "depth": source.colorDepth(), "profile": source.colorProfile(), "source": bytes(data).hex(),
            "group": group.name(), "layers": [[n.name(), n.visible()] for n in group.childNodes()],
            "position": [group.childNodes()[0].position().x(), group.childNodes()[0].position().y()],
        }})
"""
IN_GIMP = """
def run(t):
    from gi.repository import Gimp
    image = Gimp.get_images()[0]
    group, source = image.get_layers()
    layers = [layer.get_name() for layer in group.get_children()]
    t.note(group=group.get_name(), source=source.get_name(), layers=layers)
"""


FILES = [
    ("u8.ora", np.uint8, "U8"),
    ("u16.ora", np.uint16, "U16"),
    ("u8.psd", np.uint8, "U8"),
    ("u16.psd", np.uint16, "U16"),
]


def result_of(dtype):
    """A source [6, 8, 4] whose every value differs, and two variations at (3, 2)."""
    step = 1 if dtype is np.uint8 else 257
    pixels = (np.arange(6 * 8 * 4).reshape(6, 8, 4) % 251 * step).astype(dtype)
    pixels[..., 3] = np.iinfo(dtype).max
    layer = Image(np.full((2, 3, 4), np.iinfo(dtype).max, dtype), "RGBA")
    layers = [Layer(layer, 3, 2, f"Variation {n} (seed {n})", {"velatura": 1, "seed": n}) for n in (1, 2)]
    return Image(pixels, "RGBA"), layers


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    for name, dtype, _ in FILES:
        source, layers = result_of(dtype)
        write(tmp_path / "files" / name, source, layers, "SDEdit: a hat")
    return tmp_path / "files"


@pytest.mark.krita
def test_in_krita(krita_host, folder, tmp_path):
    with KritaSession(krita_host, tmp_path / "session", binds=[folder]) as session:
        found = session.batch(IN_KRITA, place=str(folder), names=[name for name, *_ in FILES])
    for name, dtype, depth in FILES:
        source, _ = result_of(dtype)
        seen = found[name]
        assert seen["depth"] == depth
        assert "srgb" in seen["profile"].lower()
        pixels = np.frombuffer(bytes.fromhex(seen["source"]), dtype).reshape(6, 8, 4)[..., [2, 1, 0, 3]]
        assert np.array_equal(pixels, source.pixels)
        assert seen["group"] == "SDEdit: a hat"
        assert sorted(seen["layers"]) == [["Variation 1 (seed 1)", True], ["Variation 2 (seed 2)", False]]


@pytest.mark.gimp
@pytest.mark.parametrize("name", ["u16.ora", "u16.psd"])
def test_in_gimp(gimp_host, folder, tmp_path, name):
    with GimpSession(gimp_host, tmp_path / "session", binds=[folder]) as session:
        found = session.python(IN_GIMP, folder / name)
    assert found["group"] == "SDEdit: a hat"
    assert found["source"] == "Source"
    assert found["layers"] == ["Variation 1 (seed 1)", "Variation 2 (seed 2)"]
