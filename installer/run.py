#!/usr/bin/env python3
"""From nothing to a working Velatura, with Python 3.11 up and nothing else.

``python3 installer/run.py demo`` edits a sample picture and says where the result lies.
``python3 installer/run.py test`` runs every test, the real Krita and GIMP included.

The first call makes an environment in `.velatura/env` of the checkout; later ones find it there and install
nothing, until pyproject.toml or the Python changes. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".velatura"
ENVIRONMENT = STATE / "env"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ENVIRONMENT / "velatura-stamp.json"
# First and by itself: pip would otherwise choose among all that the project's lower bound allows.
TORCH = "torch==2.13.0"
# What the gate checks before it tests; `.pre-commit-config.yaml` checks the same before each commit.
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("lint-imports",))

DEMO = STATE / "demo"


class Failed(Exception):
    """A step did not succeed; the text says which and what to do."""


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(f"velatura: {line}", flush=True)


def environment(extra: str) -> None:
    """Make the environment with an extra of pyproject.toml (or none), unless it is there. Raises Failed."""
    wanted = {
        "python": sys.version,
        "pyproject": hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest(),
        "root": str(ROOT),
        "torch": TORCH,
    }
    found = read_stamp()
    extras = set(found.pop("extras", []))
    if found == wanted and PYTHON.exists() and (not extra or extra in extras):
        say(f"the environment in {ENVIRONMENT} is ready.")
        return
    if found != wanted or not PYTHON.exists():
        extras = set()
        if any(found.get(key) != wanted[key] for key in ("python", "root")) or not PYTHON.exists():
            say(f"making an environment in {ENVIRONMENT}.")
            make_environment()
        STAMP.unlink(missing_ok=True)
        say(f"installing {TORCH}; this takes a few minutes the first time.")
        pip("install", TORCH)
    extras |= {extra} - {""}
    names = f"[{','.join(sorted(extras))}]" if extras else ""
    say(f"installing Velatura{names} and what it needs.")
    pip("install", "--editable", f"{ROOT}{names}")
    STAMP.write_text(json.dumps({**wanted, "extras": sorted(extras)}, indent=1), "utf-8")


def read_stamp() -> dict:
    """Return what the environment was made for; empty where there is none that is whole."""
    try:
        stamp = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def make_environment() -> None:
    """Make an empty environment with pip. Raises Failed."""
    if ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    try:
        venv.create(ENVIRONMENT, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        advice = "On Debian and Ubuntu install the package python3-venv."
        raise Failed(f"no environment could be made ({error}). {advice}") from error


def pip(*words: str) -> None:
    """Run pip; its output is shown only if it fails. Raises Failed."""
    start = time.monotonic()
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    result = subprocess.run(command, env=clean_environment(), **streams)
    if result.returncode:
        print(result.stdout, file=sys.stderr)
        raise Failed(f"`pip {' '.join(words)}` failed; its words are above. The first run needs the network.")
    say(f"  done in {time.monotonic() - start:.0f} s.")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would point Python at other packages."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


def velatura(*words: str) -> int:
    """Run the command line with the demo's own daemon; return its exit code."""
    env = {**clean_environment(), "VELATURA_STATE_DIR": str(STATE / "demo-state")}
    return subprocess.run([str(PYTHON), "-m", "velatura", *words], env=env, cwd=ROOT).returncode


def demo(show: bool) -> int:
    """Edit the sample in every way and say where the result lies; leave no daemon behind."""
    environment("")
    say("starting the daemon and editing the sample portrait in several ways.")
    try:
        return velatura("demo", "--out", str(DEMO), *(["--open"] if show else []))
    finally:
        velatura("stop")


def test(require_hosts: bool, selection: Sequence[str]) -> int:
    """Check style, imports and everything else; return the first failure's exit code, or 0."""
    environment("test")
    untested = hosts(require_hosts)
    env = clean_environment()
    if require_hosts:
        env["VELATURA_REQUIRE_HOSTS"] = "1"
    # Only of all tests does coverage say something; before Python 3.12 see tests/conftest.py.
    if sys.version_info >= (3, 12):
        env["COVERAGE_CORE"] = "sysmon"
    tests = ["pytest", *(selection or ["--cov", "--cov-report=", "tests"])]
    codes = [tool(env, *words) for words in (*CHECKS, tests)]
    if not selection:
        tool(env, "coverage", "report", "--format=total")
    for line in untested:
        say(line)
    return next((code for code in codes if code), 0)


def tool(env: dict[str, str], name: str, *words: str) -> int:
    """Run a program of the environment in the checkout; return its exit code."""
    say(f"running {' '.join([name, *words])}")
    program = shutil.which(name, path=PYTHON.parent) or name
    return subprocess.run([program, *words], env=env, cwd=ROOT).returncode


def hosts(required: bool) -> list[str]:
    """Make or find Krita and GIMP; return a line for each that will not be tested. Raises Failed."""
    sys.path.insert(0, str(ROOT))
    from installer import host_root
    from installer import hosts as module

    if module.can_make_root():
        say("looking for Krita and GIMP; the first time they are fetched, which takes minutes.")
        try:
            host_root.setup(host_root.hosts_dir(), say)
        except module.HostError as error:
            if required:
                raise Failed(str(error)) from error
            say(str(error))
    found = module.find_hosts()
    for line in module.describe(found):
        say(line)
    missing = [name for name, host in (("Krita", found.krita), ("GIMP", found.gimp)) if host is None]
    if missing and required:
        raise Failed(f"no {' and no '.join(missing)} to test with, and --require-hosts was given.")
    return [f"NOT TESTED: the {name} plugin in a real {name}; {module.advice()}." for name in missing]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `demo` or `test`; return the exit code."""
    if sys.version_info < (3, 11):
        print("velatura: this needs Python 3.11 or newer.", file=sys.stderr)
        return 1
    parser = argparse.ArgumentParser(prog="run.py", description="Install Velatura here and try or test it.")
    commands = parser.add_subparsers(dest="command", required=True)
    demonstration = commands.add_parser("demo", help="edit a sample picture with the embedded model")
    demonstration.add_argument("--open", action="store_true", help="show the result on the desktop")
    tests = commands.add_parser("test", help="run every test, with the real Krita and GIMP where possible")
    tests.add_argument("--require-hosts", action="store_true", help="fail where Krita or GIMP is missing")
    tests.add_argument("selection", nargs="*", help="what pytest runs instead of everything")
    options = parser.parse_args(arguments)
    try:
        if options.command == "demo":
            return demo(options.open)
        return test(options.require_hosts, options.selection)
    except Failed as failure:
        print(f"velatura: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("velatura: interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
