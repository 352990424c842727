"""`velatura`: finds the command, runs it, and turns every error into one sentence and an exit code."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import traceback
from collections.abc import Sequence

from velatura import __version__
from velatura.cli import exits
from velatura.cli.commands import commands
from velatura.cli.refusals import refusal, sentence
from velatura_protocol.errors import VelaturaError


def parser_for(arguments: Sequence[str], *, is_whole: bool = False) -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Only the command that `arguments` name has its options. is_whole: whether all have.
    """
    parser = argparse.ArgumentParser(
        prog="velatura",
        description="Semantic image editing: paints what you describe where you select it.",
        epilog=exits.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # `_command` reads them too
    )
    folders = [_add_common(parser, None, is_debug=False)]
    parser.add_argument("--version", action="version", version=f"velatura {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    wanted = _command(arguments)
    for name, command in commands().items():
        added = subparsers.add_parser(
            name,
            help=command.summary.replace("%", "%%"),  # argparse would fill in a value
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=exits.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # What stood before the command is kept where it does not stand after it, too.
        folders.append(_add_common(added, argparse.SUPPRESS, is_debug=argparse.SUPPRESS))
        if is_whole or name == wanted:
            command.configure(added)
    if is_whole:
        from velatura.cli.completion import mark_folder  # the library that completes is for this alone

        for folder in folders:
            mark_folder(folder)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code (see `exits`)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):  # a character that cannot be encoded must not end a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        options = parser_for(arguments).parse_args(arguments)
    except SystemExit as stop:  # argparse has printed the mistake, or its help
        return stop.code if isinstance(stop.code, int) else exits.USAGE
    try:
        code = options.run(options)
        print(end="", flush=True)
        return code
    except BrokenPipeError:  # the reader of our output has ended
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.FILES
    except (Exception, KeyboardInterrupt) as error:
        return _refuse(options, *refusal(error), error)


def _command(arguments: Sequence[str]) -> str:
    """The command's name among the arguments; '' where there is none."""
    words = iter(arguments)
    for word in words:
        if word == "--state-dir":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _add_common(
    parser: argparse.ArgumentParser, state_dir: str | None, *, is_debug: bool | str
) -> argparse.Action:
    """Add the options of every command, with their values where they are left out; return --state-dir."""
    about = "the daemon's directory (VELATURA_STATE_DIR)"
    folder = parser.add_argument("--state-dir", metavar="DIR", default=state_dir, help=about)
    about = "show where in the program an error arose"
    parser.add_argument("--debug", action="store_true", default=is_debug, help=about)
    return folder


def _refuse(options: argparse.Namespace, error: VelaturaError, code: int, cause: BaseException) -> int:
    if options.debug:
        traceback.print_exception(cause)
        if error.detail:
            print(error.detail, file=sys.stderr)
    print(f"velatura: {sentence(error)}", file=sys.stderr)
    if getattr(options, "json", False):
        print(json.dumps({"ok": False, "exit": code, "error": error.to_wire()}))
    return code
