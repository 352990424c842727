"""The real GIMP with the plug-in installed, and the real daemon with the tiny model behind it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from installer.hosts import Host
from PIL import Image

from tests.daemon_fixture import Daemon, wait_for
from tests.gimp.eyes import FOLDER as EYES
from tests.hosts.display import Display
from tests.hosts.gimp import GimpSession, GimpWindow
from tests.hosts.result import HostResult
from tests.more_methods import environment
from velatura_protocol.client import Client

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugin_gimp/velatura_gimp"
INSIDE = Path(__file__).parent / "inside"
LOOK = INSIDE / "look.py"


def install(
    session: GimpSession, state_dir: Path, *, offered_by: Daemon | None = None, **config: object
) -> Path:
    """Puts the plug-in into the session's profile as `velatura install gimp` does; returns its folder.

    offered_by: a daemon with methods of tests, which GIMP is to know from the start.
    """
    from velatura.install.hostfiles import first_methods

    session.install(PLUGIN)
    folder = session.profile / "plug-ins" / PLUGIN.name
    shutil.copytree(
        ROOT / "protocol/velatura_protocol",
        folder / "velatura_protocol",
        ignore=shutil.ignore_patterns("__pycache__"),
        dirs_exist_ok=True,
    )
    (folder / "velatura.json").write_text(json.dumps({"state_dir": str(state_dir), **config}))
    methods = _offered(state_dir) if offered_by else first_methods(state_dir)
    (folder / "methods.json").write_bytes(methods)
    return folder


def _offered(state_dir: Path) -> bytes:
    client = Client(state_dir, name="test")
    try:
        client.connect()
        return json.dumps(client.methods()).encode()
    finally:
        client.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Daemon]:
    """A running daemon whose default model is the tiny one, for all tests of a file."""
    from tests.tiny import register_tiny_model  # brings torch

    state_dir = tmp_path_factory.mktemp("gimp-daemon") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Daemon]:
    """A running daemon that has the methods of `tests.more_methods` too."""
    from tests.tiny import register_tiny_model  # brings torch

    state_dir = tmp_path_factory.mktemp("gimp-finding") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, environment(), prestart=False) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The same with the model that ships, which has words for what a layer shows."""
    with Daemon(tmp_path_factory.mktemp("gimp-knowing") / "state", environment()) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def display(gimp_host: Host) -> Iterator[Display]:
    """One virtual display for all windows of a file."""
    with Display(gimp_host, window_manager=True) as display:
        yield display


@pytest.fixture(scope="package")
def gimp(
    gimp_host: Host, tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path
) -> Iterator[GimpSession]:
    """GIMP with the plug-in, for scripts without a window. All files share it, and the daemon behind it."""
    from tests.tiny import register_tiny_model  # brings torch

    state_dir = tmp_path_factory.mktemp("gimp-scripts") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with (
        Daemon(state_dir),
        GimpSession(gimp_host, tmp_path_factory.mktemp("gimp"), binds=[state_dir]) as session,
    ):
        install(session, state_dir)
        yield session


Sit = Callable[[Daemon, Mapping[str, str]], AbstractContextManager[GimpWindow]]


@pytest.fixture(scope="module")
def sit(gimp_host: Host, display: Display, tmp_path_factory: pytest.TempPathFactory) -> Sit:
    """`with sit(daemon, shortcuts) as window:` opens GIMP's window on a small picture.

    The daemon's methods are known from the start; shortcuts: keys by action.
    """

    @contextmanager
    def open_window(daemon: Daemon, shortcuts: Mapping[str, str]) -> Iterator[GimpWindow]:
        folder = tmp_path_factory.mktemp("window")
        picture = folder / "picture.png"
        Image.radial_gradient("L").convert("RGB").resize((128, 96)).save(picture)
        seen = {"PYTHONPATH": str(EYES)}
        with GimpSession(
            gimp_host, folder / "gimp", binds=[daemon.state_dir], display=display, env=seen
        ) as session:
            install(session, daemon.state_dir, offered_by=daemon)
            for action, keys in shortcuts.items():
                session.shortcut(action, keys)
            with session.window(picture) as window:
                yield window

    return open_window


def running(session: GimpSession) -> list[int]:
    """The processes of the plug-in's procedures that run in this GIMP."""
    words = ["ps", "-A", "-ww", "-o", "pid=,args="]
    listing = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    lines = [line for line in listing if str(session.profile) in line and "-run" in line]
    return [int(line.split()[0]) for line in lines if "velatura_gimp.py" in line]


def wait_until(
    window: GimpWindow, is_there: Callable[[HostResult], bool], dialog_stays: bool = False
) -> HostResult:
    """What the image in the window holds (`inside/look.py`), once it is so and the plug-in has ended.

    dialog_stays: the plug-in goes on.
    """

    def there() -> HostResult | None:
        found = window.python(LOOK)
        return found if is_there(found) else None

    try:
        found = wait_for(there, 120, "it does not come", every=0.5)
    except AssertionError:
        window.screenshot("failure.png")
        raise
    if not dialog_stays:
        wait_for(lambda: not running(window.session), 60, "the plug-in does not end")
    window.rest()  # GIMP itself ends what the plug-in did after that
    return found
