"""`velatura mcp`: the methods as tools for an assistant, over standard input and output."""

from __future__ import annotations

import argparse
from pathlib import Path

from velatura.cli import exits
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--folder",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        dest="folders",
        help="a folder in which the assistant may read and write pictures; may be given several times",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Offer the methods until the assistant ends. Starts the daemon where none runs."""
    try:
        from velatura.assistants.server import serve
    except ModuleNotFoundError as error:
        sentence = 'Assistants need the extra "mcp"; install it with: pip install "velatura[mcp]"'
        raise VelaturaError("unavailable", sentence, detail=str(error)) from error
    from velatura.assistants.folders import Folders
    from velatura.assistants.tools import Tools
    from velatura.client import connect

    folders = Folders(options.folders)
    with connect(state_dir(options.state_dir)) as session:
        serve(Tools(session, folders))
    return exits.OK
