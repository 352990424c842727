"""`velatura`: finds the command, runs it, and turns every error into one sentence and an exit code."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import traceback
from collections.abc import Sequence

from velatura import __version__
from velatura.cli import exits
from velatura.cli.commands import commands
from velatura_protocol.errors import VelaturaError


def parser_for(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of all commands; only the one that `arguments` name has its options."""
    parser = argparse.ArgumentParser(
        prog="velatura",
        description="Semantic image editing: paints what you describe where you select it.",
        epilog=exits.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"velatura {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    wanted = next((word for word in arguments if not word.startswith("-")), "")
    for name, command in commands().items():
        added = subparsers.add_parser(
            name,
            help=command.summary.replace("%", "%%"),  # argparse would fill in a value
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=exits.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument("--state-dir", metavar="DIR", help="the daemon's directory (VELATURA_STATE_DIR)")
        added.add_argument("--debug", action="store_true", help="show where in the program an error arose")
        if name == wanted:
            command.configure(added)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code (see `exits`)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = parser_for(arguments).parse_args(arguments)
    except SystemExit as stop:  # argparse has printed the mistake, or its help
        return stop.code if isinstance(stop.code, int) else exits.USAGE
    try:
        return options.run(options)
    except VelaturaError as error:
        return _refuse(options, error, exits.exit_code(error.code))
    except KeyboardInterrupt as error:
        return _refuse(options, VelaturaError("cancelled", "Interrupted."), exits.CANCELLED, error)
    except BrokenPipeError:  # the reader of our output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.FILES
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        kind = "disk-full" if error.errno == errno.ENOSPC else "bad-request"
        refusal = VelaturaError(kind, f"{where}{error.strerror or error}.")
        return _refuse(options, refusal, exits.FILES, error)
    except Exception as error:
        sentence = f"Velatura failed ({type(error).__name__}: {error}); --debug shows where."
        return _refuse(options, VelaturaError("internal", sentence), exits.FAULT, error)


def _refuse(
    options: argparse.Namespace, error: VelaturaError, code: int, cause: BaseException | None = None
) -> int:
    if options.debug:
        traceback.print_exception(cause or error)
        if error.detail:
            print(error.detail, file=sys.stderr)
    hint = f" ({error.hint})" if error.hint else ""
    print(f"velatura: {' '.join(error.message.split())}{hint}", file=sys.stderr)
    if getattr(options, "json", False):
        print(json.dumps({"ok": False, "exit": code, "error": error.to_wire()}))
    return code
