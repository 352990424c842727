"""The real hosts start, answer, fail loudly, and leave nothing behind."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from installer import host_root, hosts
from installer.hosts import Host, find_hosts, stop_process
from PIL import Image

from tests.patience import patience

pytest.importorskip("fcntl", reason="the hosts are driven on Linux and macOS only")

from tests.hosts.display import Display, colours, wait_for
from tests.hosts.gimp import GimpSession
from tests.hosts.krita import KritaSession
from tests.hosts.result import ScriptFailed


def left_behind(*marks: object) -> list[str]:
    """Return the processes whose command line or environment has one of `marks`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it has just ended, or is not ours to see
            continue
        if any(str(mark).encode() in words for mark in marks):
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()


@pytest.fixture
def root_host() -> Host:
    """A host in the root: what is tested here holds for both."""
    host = find_hosts().krita
    if host is None or host.root is None:
        pytest.skip("the root with the hosts is not here")
    return host


# The root ---------------------------------------------------------------


def test_root_passes_exit_code_output_and_environment(root_host: Host, tmp_path: Path):
    inner = 'echo "$GREETING $HOME $PWD"; echo oops >&2; cat "$OTHER/file"; exit 7'
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("seen")
    ended = root_host.run(
        ["sh", "-c", inner],
        env={"GREETING": "hello", "OTHER": "/mnt/velatura-other"},
        home=tmp_path / "home",
        cwd=tmp_path,
        binds=[(other, "/mnt/velatura-other")],
        timeout=patience(20),
    )
    assert ended.returncode == 7
    assert ended.stdout.split() == ["hello", str(tmp_path / "home"), str(tmp_path), "oops", "seen"]


def test_root_kills_everything_when_the_time_is_up(root_host: Host, tmp_path: Path):
    before = mounts()
    stubborn = "trap '' TERM; setsid sleep 1001 & echo started; sleep 1002"
    with pytest.raises(subprocess.TimeoutExpired) as error:
        root_host.run(["sh", "-c", stubborn], home=tmp_path, timeout=1.5)
    assert error.value.output == "started\n"
    wait_for(lambda: not left_behind(tmp_path), 20, "everything to be gone")
    assert mounts() == before


def test_root_takes_its_processes_along_when_the_test_is_killed(root_host: Host, tmp_path: Path):
    code = (
        "import sys, time; from installer.hosts import Host; from pathlib import Path\n"
        f"host = Host('x', 'x', '1', Path({str(root_host.root)!r}))\n"
        f"host.popen(['sleep', '1003'], home={str(tmp_path)!r})\n"
        "print('up', flush=True); time.sleep(60)"
    )
    repository = Path(__file__).parents[1]
    words = ["python3", "-c", code]
    with subprocess.Popen(words, cwd=repository, stdout=subprocess.PIPE, start_new_session=True) as test:
        assert test.stdout.readline() == b"up\n"
        # The programs before it have its words in theirs, and cannot end it yet.
        wait_for(lambda: "sleep 1003 " in left_behind(tmp_path), 20, "the command to run")
        test.kill()
    wait_for(lambda: not left_behind(tmp_path), 20, "the command to die too")


def test_root_lets_a_program_end_in_its_own_way(root_host: Host, tmp_path: Path):
    # The signal comes twice, by the process group and forwarded: it must not end the program while it exits.
    polite = "trap 'trap \"\" TERM; echo bye >word; exit 5' TERM; echo >ready; while :; do sleep 0.1; done"
    process = root_host.popen(["sh", "-c", polite], home=tmp_path)
    wait_for((tmp_path / "ready").exists, 10, "the program to start")
    assert stop_process(process) == 5
    assert (tmp_path / "word").read_text() == "bye\n"


def test_native_host_runs_with_a_clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISPLAY", ":0")
    native = Host("krita", "krita", "5.2.0")
    words = ["sh", "-c", 'echo "$HOME,$DISPLAY,$X"; exit 3']
    ended = native.run(words, env={"X": "y"}, home=tmp_path, timeout=patience(10))
    assert (ended.returncode, ended.stdout) == (3, f"{tmp_path},,y\n")
    with pytest.raises(subprocess.TimeoutExpired):
        native.run(["sh", "-c", "sleep 1004 & sleep 1005"], home=tmp_path, timeout=0.5)
    wait_for(lambda: not left_behind(tmp_path), 20, "everything to be gone")


def test_a_stamp_of_another_recipe_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / host_root.STAMP).write_text(json.dumps({"fingerprint": host_root.fingerprint()}))
    assert host_root.read_stamp(tmp_path)
    monkeypatch.setattr(host_root, "PACKAGES", (*host_root.PACKAGES, "another"))
    assert host_root.read_stamp(tmp_path) is None


def test_a_root_of_a_newer_suite_has_newer_hosts_and_the_first_one_s_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keys = tmp_path / "trixie/usr/share/keyrings/debian-archive-keyring.gpg"
    keys.parent.mkdir(parents=True)
    keys.touch()
    root = tmp_path / "testing"
    root.mkdir()
    monkeypatch.setenv("VELATURA_HOSTS_DIR", str(root))
    assert host_root._keyring() == []
    monkeypatch.setattr(host_root, "SUITE", "testing")
    assert host_root._keyring() == [f"--keyring={keys}"]
    stamp = {"fingerprint": host_root.fingerprint(), "krita": "5.3.4.1", "gimp": "3.2.6"}
    (root / host_root.STAMP).write_text(json.dumps(stamp))
    monkeypatch.setattr(hosts, "can_make_root", lambda: True)
    found = hosts.find_hosts()
    assert found.gimp == Host("gimp", "/usr/bin/gimp-3.2", "3.2.6", root)
    assert found.krita == Host("krita", "/usr/bin/krita", "5.3.4.1", root)


# Krita ------------------------------------------------------------------


@pytest.mark.krita
def test_krita_shows_a_document_and_quits(krita_host: Host, tmp_path: Path):
    script = """
def drive(t):
    document = t.document(300, 200)
    yield
    yield lambda: t.krita.activeDocument()
    layer = document.topLevelNodes()[0]
    with t.stalls("stall"):
        yield 0.2
    t.note(version=t.krita.version(), size=[document.width(), document.height()], word=t.args["word"])
    t.note(bytes=len(layer.pixelData(0, 0, 300, 200)))
    t.trigger("add_new_paint_layer")
    yield lambda: len(document.topLevelNodes()) == 2
    t.trigger("edit_undo")
    yield lambda: len(document.topLevelNodes()) == 1
    t.screenshot("window.png")
"""
    with KritaSession(krita_host, tmp_path) as session:
        result = session.window(script, word="carried")
        marks = session.home, session.display.folder
    assert result["version"].startswith("5.") or result["version"].startswith("6.")
    assert result["size"] == [300, 200]
    assert result["bytes"] == 300 * 200 * 4
    assert result["word"] == "carried"
    assert 0 < result["stall"] < 5
    with Image.open(result.folder / "window.png") as picture:
        assert picture.size == (1600, 1000)
        assert colours(picture) > 200
    assert left_behind(*marks) == []


@pytest.mark.krita
def test_krita_failures_are_loud_and_cleaned_up(krita_host: Host, tmp_path: Path):
    slot = (
        "from PyQt5.QtCore import QTimer\n"
        "def fail():\n    raise ValueError('in a slot')\n"
        "def drive(t):\n    QTimer.singleShot(0, fail)\n    yield 0.3\n"
    )
    hang = "import time\ndef drive(t):\n    t.step('hang')\n    time.sleep(600)\n    yield\n"
    with KritaSession(krita_host, tmp_path) as session:
        with pytest.raises(ScriptFailed, match="waited in vain for the moon"):
            session.window("def drive(t):\n    yield t.until(lambda: 0, 0.1, 'the moon')\n")
        if not krita_host.version.startswith("6"):
            with pytest.raises(ScriptFailed, match="in a slot"):
                session.window(slot)
        run = session.start(hang, timeout=60)
        run.wait_step("hang")
        run.stop()
        assert run.wait(check=False).ok is False
        marks = session.home, session.display.folder
    assert left_behind(*marks) == []


@pytest.mark.krita
def test_krita_runner_needs_no_window(krita_host: Host, tmp_path: Path):
    script = """
def run(t):
    document = t.krita.createDocument(16, 8, "x", "RGBA", "U16", "sRGB-elle-V2-srgbtrc.icc", 72.0)
    t.note(bytes=len(document.pixelData(0, 0, 16, 8)))
"""
    if not krita_host.has("kritarunner"):
        pytest.skip("kritarunner, Krita without a window, is not here")
    with KritaSession(krita_host, tmp_path) as session:
        assert session.batch(script)["bytes"] == 16 * 8 * 8
        with pytest.raises(ScriptFailed, match="ZeroDivisionError"):
            session.batch("def run(t):\n    1 / 0\n")
    assert left_behind(session.home) == []


# GIMP -------------------------------------------------------------------

COUNT_LAYERS = """
from gi.repository import Gimp
def run(t):
    image = Gimp.get_images()[0]
    if t.args.get("add"):
        image.insert_layer(image.get_layers()[0].copy(), None, 0)
        Gimp.displays_flush()
    t.note(version=Gimp.version(), layers=len(image.get_layers()), width=image.get_width())
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").resize((60, 40)).save(path)
    return path


@pytest.mark.gimp
def test_gimp_runs_python_and_script_fu(gimp_host: Host, tmp_path: Path, photo: Path):
    with GimpSession(gimp_host, tmp_path) as session:
        result = session.python(COUNT_LAYERS, photo, add=True)
        assert result["version"].startswith("3.")
        assert (result["layers"], result["width"]) == (2, 60)
        width = "(car (gimp-image-get-width (vector-ref (car (gimp-get-images)) 0)))"
        assert session.script_fu(width, photo)["value"] == "60"
        with pytest.raises(ScriptFailed, match="no such thing"):
            session.script_fu('(error "no such thing")')
        with pytest.raises(ScriptFailed, match="ZeroDivisionError"):
            session.python("def run(t):\n    1 / 0\n")
    assert left_behind(session.home) == []


@pytest.mark.gimp
def test_gimp_window_can_be_driven_and_looked_into(gimp_host: Host, tmp_path: Path, photo: Path):
    with GimpSession(gimp_host, tmp_path) as session:
        with session.window(photo) as window:
            assert window.python(COUNT_LAYERS, add=True)["layers"] == 2
            window.keys("ctrl+z")
            wait_for(lambda: window.python(COUNT_LAYERS)["layers"] == 1, 10, "undo")
            with Image.open(window.screenshot()) as picture:
                assert colours(picture) > 200
        assert window.run.process.returncode == 0
        marks = session.home, session.display.folder
    assert left_behind(*marks) == []


@pytest.mark.gimp
def test_gimp_finds_an_installed_plug_in(gimp_host: Host, tmp_path: Path):
    plugin = tmp_path / "velatura_sample"
    plugin.mkdir()
    (plugin / "velatura_sample.py").write_text(
        "#!/usr/bin/env python3\nimport sys, gi\ngi.require_version('Gimp', '3.0')\n"
        "from gi.repository import Gimp\n"
        "class Sample(Gimp.PlugIn):\n"
        "    def do_query_procedures(self):\n        return ['velatura-sample']\n"
        "    def do_create_procedure(self, name):\n"
        "        return Gimp.Procedure.new(self, name, Gimp.PDBProcType.PLUGIN, self.call, None)\n"
        "    def call(self, procedure, config, data):\n"
        "        return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)\n"
        "Gimp.main(Sample.__gtype__, sys.argv)\n"
    )
    with GimpSession(gimp_host, tmp_path / "session", plugins=[plugin]) as session:
        assert session.script_fu('(begin (velatura-sample) "called")')["value"] == '"called"'


@pytest.mark.slow
def test_two_displays_at_once_do_not_collide(root_host: Host):
    started = time.monotonic()
    with Display(root_host) as first, Display(root_host) as second:
        assert first.name != second.name
        assert first.picture().size == second.picture().size == (1600, 1000)
    assert left_behind(first.folder, second.folder) == []
    assert time.monotonic() - started < patience(30)
