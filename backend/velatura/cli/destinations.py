"""Where `velatura edit` writes: the options, and the checks before any work."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Sequence
from pathlib import Path

from velatura.client.outputs import check_out, is_same_file
from velatura.files.writing import ENDINGS, NAMES
from velatura_protocol.errors import VelaturaError


def add_destinations(parser: argparse.ArgumentParser) -> None:
    """Add the options for files beside --out."""
    parser.add_argument(
        "--out-dir",
        type=Path,
        metavar="DIR",
        help="a folder for the results of many pictures, which is made where it is not there. Each has its "
        "picture's name. Pictures whose result is there are left out, so the command can be given again",
    )
    parser.add_argument(
        "--out-ending",
        type=_ending,
        default=None,
        metavar=".png",
        help=f"the format in --out-dir and on standard output: {NAMES} (the picture's own; .png for JPEG)",
    )
    parser.add_argument(
        "--compare", type=_png, metavar="FILE.png", help="also write before, mask and after beside each other"
    )
    add_force(parser)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing but errors, --json and texts"
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add --force."""
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def named(words: Sequence[str]) -> list[Path]:
    """The pictures of the words; a pattern that the shell has left, as on Windows, becomes its files."""
    paths: list[Path] = []
    for word in words:
        is_pattern = any(sign in word for sign in "*?[") and not Path(word).exists()
        paths += map(Path, sorted(glob.glob(word)) or [word]) if is_pattern else [Path(word)]
    return list(dict.fromkeys(paths))


def check_destinations(options: argparse.Namespace) -> None:
    """Raise `bad-request` where --out or --compare cannot be written, or is not to be replaced."""
    read = (options.picture, options.mask)
    if options.out and options.compare and is_same_file(options.out, options.compare):
        raise VelaturaError("bad-request", "--out and --compare name one file; name two.")
    for path in filter(None, (options.out, options.compare)):
        check_one(options, path, read)


def check_one(options: argparse.Namespace, path: Path, read: Sequence[Path | None]) -> None:
    """Raise `bad-request` where a file cannot be written, or is there and not to be replaced."""
    check_out(path, read)
    if path.exists() and not options.force and not _is_agreed(path):
        raise VelaturaError(
            "bad-request", f"{path} is there already; --force replaces it, or name another file."
        )


def _is_agreed(path: Path) -> bool:
    """Whether the person, asked on a terminal, agrees to replace a file."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{path} is there already. Replace it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def _ending(text: str) -> str:
    ending = f".{text.lower().removeprefix('.')}"
    if ending not in ENDINGS:
        raise argparse.ArgumentTypeError(f"give one of {NAMES}")
    return ending


def _png(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError("the comparison's name must end in .png")
    return Path(text)
