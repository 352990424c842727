"""How long Krita's user interface stands still during an edit of a 4096 x 4096 document.

`python -m tests.krita.stall` runs the real Krita with the real daemon and a tiny model.  It prints, in
milliseconds, the longest gap between two turns of the event loop in each phase of an edit, beside Krita's own
calls on as many pixels.  A benchmark, not a test: the figures depend on the machine and what else it does.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from installer.hosts import find_hosts

from tests.daemon_fixture import Daemon
from tests.hosts.krita import KritaSession
from tests.krita.plugin import put_plugin
from tests.tiny import register_tiny_model, tiny_model

SIDE = 4096
PIECES = 6  #: that are named
SCRIPT = Path(__file__).with_name("in_krita_stall.py")


def main() -> int:
    """Run the benchmark; return 1 where there is no Krita."""
    host = find_hosts().krita
    if host is None:
        print("There is no Krita here.")
        return 1
    with tempfile.TemporaryDirectory(prefix="velatura-stall-") as name:
        folder = Path(name)
        register_tiny_model(folder / "state", tiny_model(folder / "tiny"))
        plugin = put_plugin(folder / "plugin", state_dir=folder / "state")
        session = KritaSession(host, folder / "krita", plugins=[plugin])
        with Daemon(folder / "state"), session:
            # A virtual display has no graphics card: OpenGL in software would be most of what is measured.
            (session.home / ".config/kritadisplayrc").write_text("[General]\nOpenGLRenderer=none\n")
            found = session.window(SCRIPT, timeout=900)
    print(f"Krita {host.version}, {SIDE} x {SIDE}, RGBA, 8 bits; longest stall of the UI thread in ms")
    for call in ("pixelData", "refreshProjection"):
        middle, longest = statistics.median(found[call]), max(found[call])
        print(f"  Krita's own {call}: median {middle:.0f}, longest {longest:.0f}")
    print(f"  nothing going on: {max(found['idle'].values()):.0f}")
    for run in ("selection of 512 x 512", "whole layer"):
        print(f"  {run}: {found[run + ', said']}")
        gaps, own = found[run], found[run + ", own"]
        phases = ", ".join(f"{phase.lower()} {gap:.0f}" for phase, gap in gaps.items())
        print(f"    longest stall: {max(gaps.values()):.0f} ({phases})")
        print("    processor time of the plugin's own code in one go, the longest:")
        for where in sorted(own, key=own.get, reverse=True)[:PIECES]:
            print(f"      {own[where]:.0f} {where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
