"""`velatura help COMMAND`: the same as `velatura COMMAND --help`."""

from __future__ import annotations

import argparse

from velatura.cli.main import main


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="left out: the list of all commands")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the help."""
    return main([*options.words, "--help"])
