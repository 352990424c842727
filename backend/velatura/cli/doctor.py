"""`velatura doctor`: faults of the installation, and how to mend them."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from velatura.cli import exits
from velatura.cli.commands import refused
from velatura.cli.machine import this_machine
from velatura.install.doctor import examine
from velatura_protocol.paths import state_dir

SIGNS = {"ok": "ok   ", "note": "note ", "fault": "FAULT"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the findings; return 0 only if there is no fault."""
    findings = examine(state_dir(options.state_dir), this_machine(), commands=refused())
    faults = sum(finding.level == "fault" for finding in findings)
    if options.json:
        print(json.dumps({"ok": not faults, "findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            print(f"{SIGNS[finding.level]} {finding.sentence}")
            if finding.mend:
                print(f"      {finding.mend}")
        print(f"{faults} fault(s)." if faults else "All is well.")
    return exits.REFUSED if faults else exits.OK
