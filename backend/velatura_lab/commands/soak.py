"""`velatura soak`: kills and faults against a daemon of its own, and what became of every job."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

SUMMARY = "attack a daemon of its own, and see whether a job is lost"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.description = (
        "Clients give jobs to a daemon of their own while its processes are killed and its disk, its clock "
        "and its connections fail. Afterwards every job must have ended once, with the bytes of an "
        "undisturbed run. Linux only."
    )
    parser.add_argument(
        "--minutes", type=float, default=10.0, metavar="M", help="of the attack (%(default)s)"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="repeats a campaign (by chance)")
    parser.add_argument("--clients", type=int, default=3, metavar="N", help="at work at a time (%(default)s)")
    parser.add_argument(
        "--light",
        action="store_true",
        help="workers without networks: they start at once, so more are killed",
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument(
        "--folder", type=Path, metavar="F", help="an empty folder that stays (one that is deleted)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Attacks, and prints the figures; 1 if a job was lost, doubled or wrong, or a bound was passed."""
    from velatura_lab.soak.campaign import Campaign

    if sys.platform != "linux":
        print("velatura soak needs Linux: it reads /proc and sends signals.", file=sys.stderr)
        return 2
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="velatura-soak-") as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        campaign = Campaign(folder, seed, light=options.light, clients=options.clients)
        report = campaign.run(None, options.minutes)
    figures = report.as_dict()
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        for key, value in figures.items():
            if key not in ("faults", "problems"):
                print(f"{key:12} {value}")
        for name, count in figures["faults"].items():
            print(f"  {count:6} {name}")
    for problem in report.problems:
        print(problem, file=sys.stderr)
    if report.problems:
        again = f"--seed {seed} --minutes {options.minutes:g}{' --light' if options.light else ''}"
        print(f"`velatura soak {again}` repeats it.", file=sys.stderr)
    return 1 if report.problems else 0
