"""Whether many edits leave anything behind in Krita: memory, widgets, threads, open files, marks.

`python -m tests.krita.many` runs 200 edits in the real Krita with the real daemon and a tiny model; each
second one is undone. It prints the figures of the beginning and after each tenth of them. A benchmark, not a
test: it takes long, and memory depends on the machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from installer.hosts import find_hosts

from tests.daemon_fixture import Daemon
from tests.hosts.krita import KritaSession
from tests.krita.plugin import put_plugin
from tests.tiny import register_tiny_model, tiny_model

SCRIPT = Path(__file__).with_name("in_krita_many.py")
SECONDS = 60  #: at most for an edit


def main(words: list[str]) -> int:
    """Run the benchmark; return 1 where there is no Krita."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=200)
    options = parser.parse_args(words)
    host = find_hosts().krita
    if host is None:
        print("There is no Krita here.")
        return 1
    with tempfile.TemporaryDirectory(prefix="velatura-many-") as name:
        folder = Path(name)
        register_tiny_model(folder / "state", tiny_model(folder / "tiny"))
        plugin = put_plugin(folder / "plugin", state_dir=folder / "state")
        session = KritaSession(host, folder / "krita", plugins=[plugin])
        with Daemon(folder / "state"), session:
            found = session.window(SCRIPT, timeout=120 + SECONDS * options.edits, edits=options.edits)
    rows = found["rows"]
    print(f"Krita {host.version}, {options.edits} edits")
    print("  ".join(f"{title:>12}" for title in rows[0]))
    for row in rows:
        print("  ".join(f"{value:>12}" for value in row.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
