"""`velatura completion SHELL`: a script by which a shell completes commands, options, files and methods."""

from __future__ import annotations

import argparse
import json

import shtab

from velatura.cli import exits
from velatura.install.hostfiles import first_methods
from velatura_protocol.catalogue import Catalogue
from velatura_protocol.paths import state_dir

_EPILOG = """to use it:
  bash  velatura completion bash > ~/.local/share/bash-completion/completions/velatura
  zsh   velatura completion zsh > a folder of $fpath/_velatura
  tcsh  velatura completion tcsh > ~/.velatura.tcsh, and `source` it in ~/.tcshrc
then open a new terminal.

"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell that will read the script")
    parser.epilog = _EPILOG + (parser.epilog or "")
    parser.set_defaults(run=run)


def mark_folder(argument: argparse.Action) -> None:
    """Say that an argument takes a folder."""
    argument.complete = shtab.DIRECTORY  # pyright: ignore[reportAttributeAccessIssue]  shtab's way


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    from velatura.cli.main import parser_for  # which imports the commands, and this one among them

    known = Catalogue.from_wire(json.loads(first_methods(state_dir(options.state_dir))))
    names = " ".join(method.id for method in known.methods)
    preamble = {
        "bash": f'_velatura_methods() {{ compgen -W "{names}" -- "$1"; }}',
        "zsh": f"_velatura_methods() {{ local -a ids=({names}); compadd -a ids; }}",
    }.get(options.shell, "")
    print(shtab.complete(parser_for((), is_whole=True), options.shell, preamble=preamble))
    return exits.OK
