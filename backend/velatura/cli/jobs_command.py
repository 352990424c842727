"""`velatura jobs`: the edits that the daemon keeps, of the command line and of every host."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from velatura.cli import exits
from velatura.cli.destinations import add_force
from velatura.cli.fetching import fetch_job
from velatura.cli.keeping import SHORT
from velatura.cli.refusals import refusal, sentence
from velatura.cli.values import out_path
from velatura.client.connection import connected
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.results import texts

UNFINISHED = ("uploading", "queued", "started")
ALL = (*UNFINISHED, "done", "failed", "cancelled")
STATES = {
    "uploading": "picture is on its way",
    "queued": "waits",
    "started": "runs",
    "failed": "failed",
    "cancelled": "cancelled",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands; `list` is the one that may be left out."""
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION")
    listing = actions.add_parser("list", help="the edits that run, wait, or were not fetched")
    for one, value in ((parser, False), (listing, argparse.SUPPRESS)):  # `list` may be left out
        about = "also those that were fetched, failed, cancelled"
        one.add_argument("--all", action="store_true", default=value, help=about)
    listing.set_defaults(run=_list)
    show = actions.add_parser("show", help="one edit: its state, its results, its error")
    show.set_defaults(run=_show)
    fetch = actions.add_parser("fetch", help="write the results of edits that were not fetched")
    fetch.add_argument("jobs", nargs="*", metavar="JOB", help="ids, or their beginnings (all not fetched)")
    fetch.add_argument("--out", type=out_path, metavar="FILE", help="the result's file, for one JOB")
    fetch.add_argument(
        "--out-dir", type=Path, default=Path(), metavar="DIR", help="else a folder for PICTURE-JOB.ora (.)"
    )
    fetch.add_argument(
        "--source",
        type=Path,
        metavar="IN",
        help="the picture, for its metadata and the parts that were not sent (else found by its pixels in "
        "--out-dir and here, else as the daemon keeps it)",
    )
    add_force(fetch)
    fetch.set_defaults(run=_fetch, quiet=False)
    cancel = actions.add_parser("cancel", help="cancel edits that run or wait")
    cancel.add_argument("jobs", nargs="*", metavar="JOB", help="ids, or their beginnings")
    cancel.add_argument("--all", action="store_true", help="all that run or wait")
    cancel.set_defaults(run=_cancel)
    clear = actions.add_parser("clear", help="let go results that were not fetched; the daemon deletes them")
    clear.add_argument("jobs", nargs="*", metavar="JOB", help="ids, or their beginnings (all not fetched)")
    clear.set_defaults(run=_clear)
    show.add_argument("jobs", nargs=1, metavar="JOB", help="its id, or the beginning of it")
    for one, value in ((parser, False), *((one, argparse.SUPPRESS) for one in (listing, show, fetch))):
        one.add_argument("--json", action="store_true", default=value, help="print one JSON object")


def _list(options: argparse.Namespace) -> int:
    with _client(options) as client:
        jobs, more = _jobs(client)
    shown = jobs if options.all else [job for job in jobs if job["state"] in UNFINISHED or _waits(job)]
    if options.json:
        print(json.dumps({"ok": True, "exit": exits.OK, "jobs": shown, "more": more}))
        return exits.OK
    for job in shown:
        print(f"{job['job'][:SHORT]}  {_when(job)}  {_state(job):22} {job['title']}")
    if not shown:
        print("No edit runs or waits, and every result was fetched.")
    if any(map(_waits, shown)):
        print("\nTo write the results that were not fetched: velatura jobs fetch")
    if more:
        print(f"{more} older ones are not shown.")
    return exits.OK


def _show(options: argparse.Namespace) -> int:
    with _client(options) as client:
        (job,) = _named(client, options.jobs)
    if options.json:
        print(json.dumps({"ok": True, "exit": exits.OK, **job}))
        return exits.OK
    print(f"{job['job']}: {job['title']}\n  {_state(job)}, begun {_when(job)}")
    if "error" in job:
        print(f"  {job['error']['message']}")
    result = job.get("result", {})
    for text in [layer["title"] for layer in result.get("layers", ())] or texts(result):
        print(f"  {text}")
    return exits.OK


def _fetch(options: argparse.Namespace) -> int:
    with _client(options) as client:
        jobs = _named(client, options.jobs) if options.jobs else list(filter(_waits, _jobs(client)[0]))
        if options.out and len(jobs) > 1:
            told = f"--out takes one result, and there are {len(jobs)}; give --out-dir DIR, or name a JOB."
            raise VelaturaError("bad-request", told)
        answers = [_fetched(client, job, options) for job in jobs]
    code = max((answer["exit"] for answer in answers), default=exits.OK)
    if options.json:
        print(json.dumps({"ok": code == exits.OK, "exit": code, "jobs": answers}))
    elif not jobs:
        print("Every result was fetched.")
    return code


def _fetched(client: Client, job: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Write one result and print its files; the answer for --json. One that fails leaves the others be."""
    head = {"job": job["job"], "title": job["title"]}
    try:
        lines = fetch_job(client, job, options)
    except (VelaturaError, OSError) as error:
        refused, code = refusal(error)
        if len(options.jobs) == 1 and not options.json:
            raise
        if not options.json:
            print(f"{job['job'][:SHORT]}: {sentence(refused)}")
        return {**head, "ok": False, "exit": code, "error": refused.to_wire()}
    if not options.json:
        for line in lines:
            print(f"{job['job'][:SHORT]}: {line}")
    return {**head, "ok": True, "exit": exits.OK, "written": lines}


def _cancel(options: argparse.Namespace) -> int:
    if not options.all and not options.jobs:
        raise VelaturaError("bad-request", "Name a JOB (see `velatura jobs`), or give --all.")
    with _client(options) as client:
        jobs = (
            [job for job in _jobs(client)[0] if job["state"] in UNFINISHED]
            if options.all
            else _named(client, options.jobs)
        )
        for job in jobs:
            client.cancel(job["job"])
            print(f"{job['job'][:SHORT]}: {_ended(job)}")
    if not jobs:
        print("No edit runs or waits.")
    return exits.OK


def _clear(options: argparse.Namespace) -> int:
    with _client(options) as client:
        jobs = _named(client, options.jobs) if options.jobs else list(filter(_waits, _jobs(client)[0]))
        for job in jobs:
            if job["state"] in UNFINISHED:
                told = f"{job['job'][:SHORT]} has not ended; velatura jobs cancel {job['job'][:SHORT]}"
                raise VelaturaError("bad-request", told)
            client.ack(job["job"])
    noun = "result was" if len(jobs) == 1 else "results were"
    print(f"{len(jobs)} {noun} let go; the daemon deletes them within a week, sooner where it needs room.")
    return exits.OK


def _client(options: argparse.Namespace) -> Any:
    return connected(state_dir(options.state_dir), start=True)


def _jobs(client: Client) -> tuple[list[dict[str, Any]], int]:
    """The jobs, the newest first, and the number of those that do not fit into a message."""
    answer = client.request({"type": "list", "states": list(ALL)})
    return sorted(answer["jobs"], key=lambda job: -job["created"]), answer.get("more", 0)


def _named(client: Client, beginnings: Sequence[str]) -> list[dict[str, Any]]:
    """The jobs whose ids begin so. Raises `unknown-job`, `bad-request` where several do."""
    listed = _jobs(client)[0]
    named: list[dict[str, Any]] = []
    for text in beginnings:
        found = [job for job in listed if job["job"].startswith(text.casefold())]
        if not found:
            raise VelaturaError("unknown-job", f"There is no edit {text!r}; see `velatura jobs list --all`.")
        if len(found) > 1:
            raise VelaturaError("bad-request", f"Several edits begin with {text!r}; give more of the id.")
        named += found
    return named


def _waits(job: dict[str, Any]) -> bool:
    return job["state"] == "done" and not job["acknowledged"]


def _state(job: dict[str, Any]) -> str:
    if job["state"] == "done":
        return "done" if job["acknowledged"] else "done, not fetched"
    return STATES.get(job["state"], str(job["state"]))


def _ended(job: dict[str, Any]) -> str:
    return "is being cancelled" if job["state"] in UNFINISHED else f"had ended ({_state(job)})"


def _when(job: dict[str, Any]) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(job["created"]))
