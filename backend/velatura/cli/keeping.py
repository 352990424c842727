"""Results that could not be written: the daemon keeps them, and the person is told how to fetch them."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Generator, Mapping
from typing import Any

from velatura.cli.interrupt import Interrupt
from velatura.cli.progress import Progress
from velatura.cli.refusals import NotWritten, refusal
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError

SHORT = 8  #: characters of a job's id that a person types


@contextlib.contextmanager
def kept(job: Mapping[str, Any], options: argparse.Namespace, interrupt: Interrupt) -> Generator[None]:
    """A context for writing a job's result, which Ctrl+C interrupts.

    options: `out`, `quiet`. Raises `NotWritten`, which says how to fetch the result, for every error.
    """
    progress = Progress(is_quiet=options.quiet)
    try:
        progress.stage("Writing")
        with interrupt.at_once():
            yield
    except (Exception, KeyboardInterrupt) as error:
        cause, code = refusal(error)
        short = str(job["job"])[:SHORT]
        told = f"{cause.message} The daemon keeps the result: velatura jobs fetch {short} --out FILE"
        raise NotWritten(cause, code, told) from error
    finally:
        progress.close()


def acknowledge(client: Client, job: Mapping[str, Any]) -> None:
    """Tell the daemon that the result is written. Without a daemon the job stays in `velatura jobs`."""
    with contextlib.suppress(VelaturaError):
        client.ack(str(job["job"]))
