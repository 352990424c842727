"""The picture of the dialog in the README: an edit by words of the sample portrait in the real GIMP.

`python -m tests.gimp.picture` writes plugin_gimp/dialog.png. The caption is proposed, one of its words is
swapped and weighed; what is seen beside the form is a draft.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

from installer.hosts import find_hosts
from PIL import Image

from tests.daemon_fixture import Daemon, wait_for
from tests.gimp.conftest import LOOK, ROOT, install, wait_until
from tests.hosts.display import Display
from tests.hosts.gimp import GimpSession, GimpWindow

PORTRAIT = ROOT / "backend/velatura/samples/portrait.png"
PICTURE = ROOT / "plugin_gimp/dialog.png"
METHOD = "prompt-to-prompt"
SIZE = 1560, 840

#: Docks as wide as the dialog on the left, so that the canvas is beside it, and the layers on the right.
SESSION = """
(session-info "toplevel"
    (factory-entry "gimp-single-image-window")
    (position 0 0)
    (size 1560 816)
    (open-on-exit)
    (aux-info (left-docks-width "780") (right-docks-width "300"))
    (gimp-toolbox (side left))
    (gimp-dock (side right)
        (book (current-page 0)
            (dockable "gimp-layer-list" (tab-style automatic) (preview-size 32))
            (dockable "gimp-channel-list" (tab-style automatic) (preview-size 32)))))
(hide-docks no)
(single-window-mode yes)
(show-tabs yes)
"""


def main(place: int = 12, other: str = "red", weighed: int = 5, more: int = 5) -> int:
    """Swaps the word at `place` of the proposed caption for `other`, turns it up by so many steps and runs.

    more: steps by which it is turned up further for the draft that is seen. Returns 1 where there is no GIMP.
    """
    host = find_hosts().gimp
    if host is None:
        print("There is no GIMP here.")
        return 1
    with tempfile.TemporaryDirectory(prefix="velatura-picture-") as name:
        folder = Path(name)
        with (
            Daemon(folder / "state") as daemon,
            Display(host, SIZE, window_manager=True) as display,
            GimpSession(host, folder / "gimp", binds=[folder], display=display) as session,
        ):
            install(session, daemon.state_dir, offered_by=daemon)
            session.shortcut(f"velatura-{METHOD}", "<Primary><Shift>F12")
            session.shortcut("view-zoom-fit-in", "<Primary><Shift>F11")
            (session.profile / "sessionrc").write_text(SESSION)
            with session.window(PORTRAIT) as window:
                try:
                    _sit(window, daemon, place, other, weighed, more)
                finally:
                    picture = Image.open(window.screenshot("dialog.png")).convert("RGB")
    palette = picture.quantize(256, kmeans=10)  # a third of the size
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size // 1000} kB")
    return 0


def _sit(window: GimpWindow, daemon: Daemon, place: int, other: str, weighed: int, more: int) -> None:
    def ended() -> int:
        return daemon.log.count("is done")

    def await_end(before: int) -> None:
        def is_at_rest() -> bool:
            return ended() > before and re.findall(r"job \S+ is (\w+)", daemon.log)[-1] == "done"

        for _ in range(2):  # drafts come while something moves; that of the last state is waited for
            wait_for(is_at_rest, 300, "the daemon is not done", every=0.2)
            time.sleep(1.5)

    dialog = _open(window)
    await_end(0)  # the caption is proposed unasked; a press of its button would stop that
    window.keys("shift+Tab", "space", *["Tab"] * place, "space", window=dialog)  # Copy; the word
    window.keys("Tab", "Tab", window=dialog)
    window.display.xdotool("type", "--delay", 40, other)
    window.keys("Return", "shift+Tab", "shift+Tab", window=dialog)
    before = ended()
    window.keys(*["Up"] * weighed, window=dialog)
    await_end(before)
    window.keys("alt+u", window=dialog)
    wait_until(window, lambda found: found["groups"])
    window.python(LOOK, choose="source")
    window.keys("ctrl+shift+F11")
    dialog = _open(window)
    window.keys(*["Tab"] * (place + 1), "space", window=dialog)
    before = ended()
    window.keys(*["Up"] * more, window=dialog)
    await_end(before)


def _open(window: GimpWindow) -> str:
    """The dialog, once it has read the layer; the pointer lies where it points at nothing."""
    window.keys("ctrl+shift+F12")
    dialog = window.wait_window("Change words")
    window.display.xdotool("mousemove", SIZE[0] - 5, SIZE[1] - 5)
    window.display.xdotool("windowmove", "--sync", dialog, 4, 30)
    time.sleep(1.0)
    return dialog


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(main(*map(int, arguments[:1]), *arguments[1:2], *map(int, arguments[2:4])))
