"""`velatura train PART`: trains, exports and measures the embedded model."""

from __future__ import annotations

import argparse

from velatura_lab.training import commands


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    commands.configure(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the part."""
    return commands.run(options)
