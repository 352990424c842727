"""`velatura bench wire`: measures the way of a large layer to the daemon and back."""

from __future__ import annotations

import argparse

from velatura.bench import wire


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("what", choices=["wire"], help="wire: a large layer to the daemon and back")
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, help="options of the measurement; --help lists them"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    return wire.main(options.rest)
