"""`velatura forget`: deletes edits that the daemon keeps, with their prompts, pictures and results."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from velatura.cli import exits
from velatura.client.connection import connected
from velatura.client.requests import pixels_of
from velatura.files import archives
from velatura.files.atomic import read_bytes
from velatura.files.reading import read_image
from velatura.files.recipes import read_recipes
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.prompt_history import PromptHistory

AT_ONCE = 1000  # names in one message
CANCEL_S = 60.0  # for running edits to stop; a worker that does not is killed earlier
_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIGEST = re.compile(rb"blake2b:[0-9a-f]{64}")
_MAX_PART = 64 * 1024 * 1024
_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Deletes edits from the daemon's list, with their prompts, pictures and results. Your own files and "
        "layers stay as they are. Edits that still run are cancelled."
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        type=Path,
        help="a document (kra, xcf, ora), a result or an edited picture: the edits that were made of it",
    )
    parser.add_argument(
        "--all", action="store_true", help="every edit, and the prompts that forms offer again"
    )
    parser.add_argument(
        "--older-than", type=_age, metavar="AGE", help="only edits that ended longer ago: 12h, 7d, 2w"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Forget the edits; print how many there were."""
    if bool(options.files) == options.all and (options.files or not options.older_than):
        raise VelaturaError("bad-request", "Name files, or give --all or --older-than.")
    before = None if options.older_than is None else time.time() - options.older_than
    wanted: list[dict[str, Any]] = [{}]
    if options.files:
        names = [_names(path) for path in options.files]
        jobs = sorted({job for found, _ in names for job in found})
        inputs = sorted({digest for _, found in names for digest in found})
        wanted = [{"jobs": part, "inputs": []} for part in _parts(jobs)]
        wanted += [{"jobs": [], "inputs": part} for part in _parts(inputs)]
    with connected(state_dir(options.state_dir), start=True) as client:
        count = sum(_forget(client, {**one, "before": before}) for one in wanted)
    if options.all and before is None:
        PromptHistory(state_dir(options.state_dir)).clear()
    if options.json:
        print(json.dumps({"ok": True, "exit": exits.OK, "forgotten": count}))
    else:
        print(f"{count} edit{'' if count == 1 else 's'} forgotten.")
    return exits.OK


def _forget(client: Client, which: dict[str, Any]) -> int:
    """The number of edits that are gone; running ones are waited for."""
    count, deadline = 0, time.monotonic() + CANCEL_S
    while True:
        answer = client.request({"type": "forget", **which}, timeout=60.0)
        count += answer["jobs"]
        if not answer["ending"]:
            return count
        if time.monotonic() > deadline:
            sentence = "An edit that runs does not stop; run `velatura stop`, then this again."
            raise VelaturaError("timeout", sentence, retryable=True)
        client.events(0.2)


def _names(path: Path) -> tuple[set[str], set[str]]:
    """The ids of jobs and the digests of pixels that a file names, and the digest of its own pixels.

    A document has recipes and a history, in its own format; whatever else looks like an id in it is unknown
    to the daemon.
    """
    content = read_bytes(path)
    texts = [*archives.parts(content, _MAX_PART)] if archives.is_archive(content) else [content]
    with suppress(VelaturaError):  # a picture without a recipe
        texts.append(json.dumps([made.recipe for made in read_recipes(path)]).encode())
    jobs = {found.decode() for text in texts for found in _ID.findall(text)}
    inputs = {found.decode() for text in texts for found in _DIGEST.findall(text)}
    with suppress(VelaturaError):  # no picture that the command line edits
        picture = read_image(path)
        inputs.add(pixels_of(picture.with_alpha()).raster.digest)
    return jobs, inputs


def _parts(names: list[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while part := list(islice(rest, AT_ONCE)):
        yield part


def _age(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal() or not int(number):
        raise argparse.ArgumentTypeError("give a number and h (hours), d (days) or w (weeks), such as 7d")
    return int(number) * _UNITS[unit]
