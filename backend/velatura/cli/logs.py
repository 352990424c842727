"""`velatura logs`: the end of the daemon's log."""

from __future__ import annotations

import argparse
import time
from collections import deque
from pathlib import Path

from velatura.cli import exits
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir

LOG = "daemon.log"
_PAUSE = 0.5  # seconds between two looks at the file


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("-n", "--lines", type=int, default=100, metavar="N", help="the last N lines (100)")
    parser.add_argument("-f", "--follow", action="store_true", help="print new lines as they come, to Ctrl+C")
    parser.add_argument("--path", action="store_true", help="print only the file's name")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the lines. Starts no daemon."""
    path = state_dir(options.state_dir) / LOG
    if options.path:
        print(path)
        return exits.OK
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in deque(stream, max(options.lines, 0)):
                print(line, end="")
            if options.follow:
                _follow(path, stream.tell())
    except FileNotFoundError as error:
        sentence = f"There is no log {path}; the daemon has not run with this directory."
        raise VelaturaError("bad-request", sentence) from error
    return exits.OK


def _follow(path: Path, at: int) -> None:
    """Print what is appended, until Ctrl+C. The daemon begins a new file once the old one is large."""
    try:
        while True:
            time.sleep(_PAUSE)
            if not path.exists():
                continue
            at = 0 if path.stat().st_size < at else at
            with path.open(encoding="utf-8", errors="replace") as stream:
                stream.seek(at)
                print(stream.read(), end="", flush=True)
                at = stream.tell()
    except KeyboardInterrupt:
        return
