"""A session and its panel without Krita, and what tests put in and look at around them."""

from __future__ import annotations

from PyQt6 import QtWidgets

from tests.krita.fake_krita import Document, Krita, Node

JOB = "1f0a3a52-7d0c-4f8b-9a52-0d6a3f1f2b11"
RECT = (4, 5, 3, 2)  #: of a result layer


class Desk:
    """A session and its panel, as Krita's docker has them."""

    def __init__(self, krita: Krita, state_dir, until, serve=()) -> None:
        from velatura_krita.network import Network
        from velatura_krita.panel import Panel
        from velatura_krita.session import Session

        self.until = until
        self.session = Session(krita)
        self.session.start(Network(state_dir, list(serve), "krita test", self.session.emit_news))
        self.panel = Panel(self.session)
        self.panel.resize(280, 700)
        self.panel.show()

    def __getitem__(self, name: str) -> QtWidgets.QWidget:
        found = self.panel.findChild(QtWidgets.QWidget, name)
        assert found is not None, name
        return found

    def ready(self) -> None:
        """Wait for the daemon; choose a method that wants no caption, where none was chosen before."""
        self.until(lambda: self["run"].isEnabled())
        if not self.session.host.settings:
            self["method"].setCurrentIndex(self["method"].findData("blended-latent-diffusion"))

    def run(self, prompt: str = "a hat", steps: int = 4, variations: int = 1, method: str = "") -> None:
        """method: that is chosen first; '' for the one that is."""
        if method:
            self["method"].setCurrentIndex(self["method"].findData(method))
        self["prompt"].setPlainText(prompt)
        self["variations"].setValue(variations)
        self["steps"].setValue(steps)
        self["run"].click()

    def job(self):
        return list(self.session.state.jobs.values())[-1]

    def wait_phase(self, name: str) -> None:
        """Wait for it; another end than this one fails at once."""
        self.until(lambda: self.job().phase.name == name or self.job().phase.ended, 150)
        assert self.job().phase.name == name, self.job()

    def close(self) -> None:
        self.panel.close()
        self.session.close()
        self.panel.deleteLater()


def group(document: Document):
    return document.rootNode().childNodes()[1]


def named(document: Document, name: str) -> Node:
    """The layer of this name right below the root."""
    return next(child for child in document.rootNode().childNodes() if child.name() == name)


def entry(document: Document, **changes):
    """Where a result of the layer 'source' belongs."""
    from velatura_krita.journal import Entry
    from velatura_krita.recipes import bare

    ids = {"node": bare(named(document, "source").uniqueId()), "root": bare(document.rootNode().uniqueId())}
    return Entry(**({"job": JOB, **ids, "file": document.fileName(), "title": "t", "created": 0.0} | changes))


def result_layer(title: str, data: bytes, variation: int = 0, channels: str = "BGRA", profile: str = ""):
    """A layer at RECT as it comes from the daemon, 8 bits a channel."""
    from velatura_krita.insert import Layer
    from velatura_krita.velatura_protocol.rasters import Raster

    raster = Raster("blake2b:" + "0" * 64, *RECT[2:], channels, "u8", profile, RECT)
    return Layer(title, raster, {"job": JOB, "variation": variation}, data)


def pending(state_dir) -> list:
    return list((state_dir / "krita").glob("*.json")) if (state_dir / "krita").exists() else []
