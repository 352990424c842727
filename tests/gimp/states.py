"""Pictures of the Velatura window in the real GIMP: every state, width, theme, scale and direction.

`python -m tests.gimp.states FOLDER` writes them there; `--help` says how to have fewer.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from installer.hosts import Host, find_hosts

from tests.daemon_fixture import Daemon
from tests.gimp.conftest import install, running
from tests.gimp.eyes import FOLDER as EYES
from tests.gimp.eyes import Eyes
from tests.gimp.picture import PORTRAIT
from tests.hosts.display import Display
from tests.hosts.gimp import GimpSession, GimpWindow
from velatura_protocol.prompt_history import PromptHistory
from velatura_protocol.settings_presets import KIND

HEIGHT = 640  # pixels of the window, before scaling
PROMPTS = ("a photo of a man with a beard and glasses, green background", "a painting of a bearded man")
#: The window begins with this method.
BEGIN = """
from gi.repository import Gimp

def run(t):
    Gimp.attach_parasite(Gimp.Parasite.new("velatura-window-method", Gimp.PARASITE_PERSISTENT, b"sdedit"))
"""
KEYS = {"velatura-window": "<Primary><Shift>k"}


def main(words: list[str]) -> int:
    """Make the pictures; return 1 where there is no GIMP."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--widths", type=int, nargs="+", default=[300, 480, 800, 1140])
    parser.add_argument("--themes", nargs="+", default=["dark", "light"])
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--directions", nargs="+", default=["LTR", "RTL"])
    options = parser.parse_args(words)
    host = find_hosts().gimp
    if host is None:
        print("There is no GIMP here.")
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    for theme, scale in itertools.product(options.themes, options.scales):
        _shoot(host, options, theme, scale)
    print(f"{len(list(options.folder.glob('*.png')))} pictures in {options.folder}")
    return 0


def _shoot(host: Host, options: argparse.Namespace, theme: str, scale: int) -> None:
    with tempfile.TemporaryDirectory(prefix="velatura-states-") as name:
        folder = Path(name)
        size = 1366 * scale, 768 * scale
        look = {"PYTHONPATH": str(EYES), "GDK_SCALE": str(scale)}
        with (
            Daemon(folder / "state") as daemon,
            Display(host, size, window_manager=True) as display,
            GimpSession(
                host, folder / "gimp", binds=[folder], display=display, env=look,
                gimprc=[f"(theme-color-scheme {theme})"],
            ) as session,
        ):  # fmt: skip
            install(session, daemon.state_dir, offered_by=daemon)
            for action, keys in KEYS.items():
                session.shortcut(action, keys)
            for prompt in PROMPTS:
                PromptHistory(daemon.state_dir).add(prompt)
            with session.window(PORTRAIT) as window:
                for state, eyes in _states(window, daemon):
                    for direction in options.directions:
                        for width in options.widths if direction == "LTR" else options.widths[-1:]:
                            eyes.look(size=[width, HEIGHT], direction=direction)
                            window.rest()
                            path = options.folder / f"{theme}-{scale}-{direction}-{width}-{state}.png"
                            display.screenshot(path)
                    eyes.look(size=[options.widths[-1], HEIGHT], direction="LTR")
                    window.rest()  # until everything is back in its place


def _states(window: GimpWindow, daemon: Daemon) -> Iterator[tuple[str, Eyes]]:
    """Brings the window into one state after the other."""
    window.python(BEGIN)
    window.keys("ctrl+shift+k")
    shown = window.wait_window(r"^Velatura: ")
    window.display.xdotool("windowmove", "--sync", shown, 0, 24)
    window.rest(daemon.pid)
    eyes = Eyes(window, running(window.session)[0])
    yield "empty", eyes
    eyes.press(kind="TextView")
    window.keys("alt+Down", window=shown)
    yield "earlier", eyes
    window.keys("Return", window=shown)
    window.rest()
    with daemon.standing_still():
        eyes.press(text="Run")
        eyes.press(text="Run")
        yield "queue", eyes
        eyes.press(text="Stop all")
    window.rest(daemon.pid)
    eyes.press(text="Run")
    eyes.until(lambda seen: any("velatura-cell" in w["classes"] for w in seen), "no result comes")
    window.rest(daemon.pid, daemon.worker_pid())
    eyes.press(text="More like this")
    eyes.until(lambda seen: sum("velatura-cell" in w["classes"] for w in seen) == 4, "no others come")
    window.rest(daemon.pid, daemon.worker_pid())
    yield "strip", eyes
    eyes.press(text="Keep")
    window.rest(daemon.pid)
    yield "kept", eyes
    eyes.press(text="Presets ▾")
    eyes.press(text="Save As…")
    window.wait_window(f"Save {KIND.noun.capitalize()}")
    window.rest()
    yield "saving", eyes
    window.display.xdotool("key", "Escape")
    eyes.press(kind="TextView")
    window.keys("ctrl+a", "Delete", "ctrl+Return", window=shown)
    window.rest(daemon.pid)
    yield "refused", eyes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
