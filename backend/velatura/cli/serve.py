"""`velatura serve`: the daemon in this terminal, until Ctrl+C or `velatura stop`."""

from __future__ import annotations

import argparse

from velatura.cli import exits
from velatura.daemon import serve


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--device", default="", metavar="auto|cpu|cuda:0", help="the device that edits run on"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the daemon until it is stopped."""
    return exits.OK if serve.main(options.state_dir, options.device) == 0 else exits.UNREACHABLE
