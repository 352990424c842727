"""`-` as a file's name: a picture from standard input, a result to standard output."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from velatura.cli.values import STANDARD
from velatura_protocol.errors import VelaturaError

NAME = "standard input"  # of the picture, in sentences and in the recipe


@contextlib.contextmanager
def streams(options: argparse.Namespace, picture: Path) -> Generator[argparse.Namespace]:
    """The options for one picture, with files in place of standard input and output.

    Raises `bad-request` where both the picture and the mask are to come from standard input, where nothing
    comes, and where the result would go to a terminal.
    """
    with contextlib.ExitStack() as stack:
        given: dict[str, Any] = {"picture": picture, "mask": options.mask, "standard": False}
        for key in ("picture", "mask"):
            if str(given[key]) == STANDARD:
                if str(options.mask) == STANDARD == str(picture):
                    sentence = "Only one file can come from standard input; name the mask's file."
                    raise VelaturaError("bad-request", sentence)
                given[key] = _read(stack)
        if str(options.out) == STANDARD:
            if options.json or sys.stdout.isatty():
                sentence = "The picture cannot go to standard output too; name a file with --out."
                if not options.json:
                    sentence = "Standard output is a terminal; redirect it, or name a file with --out."
                raise VelaturaError("bad-request", sentence)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="velatura-")))
            given |= {"out": folder / f"result{options.out_ending or '.png'}", "standard": True}
        try:
            yield argparse.Namespace(**vars(options) | given)
        except VelaturaError as error:
            for key, name in (("picture", NAME), ("mask", NAME), ("out", "standard output")):
                if key in given and given[key] != getattr(options, key, picture):
                    error.message = error.message.replace(str(given[key]), name)
            raise


def deliver(options: argparse.Namespace, files: list[Path]) -> None:
    """Copy the result to standard output where it goes there. Raises `bad-request` for several files."""
    if not options.standard:
        return
    if len(files) > 1:
        sentence = "There are several masks, and standard output takes one file; add --out-ending .ora."
        raise VelaturaError("bad-request", sentence)
    with files[0].open("rb") as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _read(stack: contextlib.ExitStack) -> Path:
    """A file with the bytes of standard input, which the end of the stack removes."""
    if sys.stdin is None or sys.stdin.isatty():
        sentence = "Standard input is a terminal; lead a picture into it, or name a file."
        raise VelaturaError("bad-request", sentence)
    path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="velatura-")), NAME)
    with path.open("wb") as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream)
    if not path.stat().st_size:
        raise VelaturaError("bad-request", "Nothing came from standard input; lead a picture into it.")
    return path
