#!/usr/bin/env python3
"""Installs Velatura into a checkout and tries or tests it; needs Python 3.11 up and nothing else.

``python3 installer/run.py demo`` edits a sample picture and prints where the result lies.
``python3 installer/run.py test`` runs every test, also in the real Krita and GIMP.
``python3 installer/run.py fast`` runs the checks and the tests that need no host, no daemon and no model.

The first call makes an environment in `.velatura/env` of the checkout. Later calls reuse it and install
nothing until pyproject.toml or the Python changes. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".velatura"
ENVIRONMENT = STATE / "env"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ENVIRONMENT / "velatura-stamp.json"
# Installed first and alone: otherwise pip would take any version that the project's lower bound allows.
TORCH = "torch==2.13.0"
# The gate's checks, the slow one last; `.pre-commit-config.yaml` runs the same before each commit.
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("lint-imports",),
    ("basedpyright",),
)

DEMO = STATE / "demo"
# The whole gate's tests, in three processes that take about the same time (tests/conftest.py says which runs
# where). Those in the real hosts and those of daemons mostly wait, for windows and for processes, so that two
# processors have time for all three. Coverage is measured for the first: hosts and daemons are programs of
# their own.
WHOLE = (
    ("pytest", "--cov", "--cov-report=", "tests", "-m", "not second and not hosted"),
    ("pytest", "tests", "-m", "second"),
    ("pytest", "tests", "-m", "hosted"),
)
# For the fast gate only: daemons of parallel test processes might disturb each other.
SHARED = ["--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile"]


class Failed(Exception):
    """A step failed; the text names it and says what to do."""


def say(line: str) -> None:
    """Print a line without buffering."""
    print(f"velatura: {line}", flush=True)


def environment(extra: str) -> None:
    """Make the environment unless it exists. Raises Failed.

    extra: an extra of pyproject.toml that it must have, or ''.
    """
    wanted = {
        "python": sys.version,
        "pyproject": hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest(),
        "root": str(ROOT),
        "torch": TORCH,
    }
    stamp = read_stamp()
    extras: set[str] = set(stamp.pop("extras", []))
    if stamp == wanted and PYTHON.exists() and (not extra or extra in extras):
        say(f"the environment in {ENVIRONMENT} is ready.")
        return
    if stamp != wanted or not PYTHON.exists():
        extras = set()
        if any(stamp.get(key) != wanted[key] for key in ("python", "root")) or not PYTHON.exists():
            say(f"making an environment in {ENVIRONMENT}.")
            make_environment()
        STAMP.unlink(missing_ok=True)
        say(f"installing {TORCH}; this takes a few minutes the first time.")
        pip("install", TORCH)
    extras |= {extra} - {""}
    names = f"[{','.join(sorted(extras))}]" if extras else ""
    say(f"installing Velatura{names} and its dependencies.")
    pip("install", "--editable", f"{ROOT}{names}")
    STAMP.write_text(json.dumps({**wanted, "extras": sorted(extras)}, indent=1), "utf-8")


def read_stamp() -> dict[str, Any]:
    """Return the versions that the environment was made for; empty where it is missing or incomplete."""
    try:
        stamp = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", stamp) if isinstance(stamp, dict) else {}


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
    """Run pip and show its output only if it fails. Raises Failed."""
    start = time.monotonic()
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    result = subprocess.run(
        command,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if result.returncode:
        print(result.stdout, file=sys.stderr)
        raise Failed(f"`pip {' '.join(words)}` failed; its output is above. The first run needs the network.")
    say(f"  done in {time.monotonic() - start:.0f} s.")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without the variables that point Python at other packages."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


def velatura(*words: str) -> int:
    """Run the command line with the demo's own daemon; return its exit code."""
    env = {**clean_environment(), "VELATURA_STATE_DIR": str(STATE / "demo-state")}
    return subprocess.run([str(PYTHON), "-m", "velatura", *words], env=env, cwd=ROOT).returncode


def demo(show: bool) -> int:
    """Edit the sample in every way, print where the results lie, and stop the daemon."""
    environment("")
    say("starting the daemon and editing the sample portrait in several ways.")
    try:
        return velatura("demo", "--out", str(DEMO), *(["--open"] if show else []))
    finally:
        velatura("stop")


def test(require_hosts: bool, selection: Sequence[str]) -> int:
    """Run the checks and the tests; return the exit code of the first failure, or 0."""
    environment("test")
    untested = hosts(require_hosts)
    variables = {"VELATURA_REQUIRE_HOSTS": "1"} if require_hosts else {}
    if selection:
        code = check([["pytest", *selection]], variables)
    else:
        code = check(WHOLE, variables)
        tool(clean_environment(), "coverage", "report", "--format=total")
    for line in untested:
        say(line)
    return code


def fast() -> int:
    """Run the checks and the unit tests; return the exit code of the first failure, or 0."""
    environment("test")
    return check([["pytest", *SHARED, "tests", "-m", "not whole"]], {})


def check(tests: Sequence[Sequence[str]], variables: dict[str, str]) -> int:
    """Run the checks, the slow one beside the tests; return the exit code of the first failure, or 0.

    tests: commands.
    """
    env = clean_environment() | variables
    if sys.version_info >= (3, 12):
        env["COVERAGE_CORE"] = "sysmon"  # for Python below 3.12 see tests/conftest.py
    *quick, types = CHECKS
    codes = [tool(env, *words) for words in quick]
    codes += side_by_side(env, [*tests, types])  # the types take a minute, on one processor
    return next((code for code in codes if code), 0)


def tool(env: dict[str, str], name: str, *words: str) -> int:
    """Run a program of the environment in the checkout; return its exit code."""
    return subprocess.run(command(name, *words), env=env, cwd=ROOT).returncode


def side_by_side(env: dict[str, str], commands: Sequence[Sequence[str]]) -> list[int]:
    """Run programs of the environment at once; return their exit codes.

    The first one's output is shown as it comes, that of each other when it has ended.
    """
    first, *others = commands
    with ExitStack() as stack:
        started: list[tuple[list[str], subprocess.Popen[bytes], IO[bytes]]] = []
        for words in others:
            output = stack.enter_context(tempfile.TemporaryFile())
            program = command(*words)
            process = subprocess.Popen(program, env=env, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
            stack.callback(process.wait)
            stack.callback(process.terminate)  # does nothing to one that has ended
            started.append((program, process, output))
        codes = [tool(env, *first)]
        for program, process, output in started:
            codes.append(process.wait())
            output.seek(0)
            say(f"the output of {shlex.join(program)}")
            sys.stdout.flush()
            shutil.copyfileobj(output, sys.stdout.buffer)
            sys.stdout.flush()
    return codes


def command(name: str, *words: str) -> list[str]:
    """Return a program of the environment and its arguments, and print them."""
    say(f"running {shlex.join([name, *words])}")
    return [shutil.which(name, path=PYTHON.parent) or name, *words]


def hosts(required: bool) -> list[str]:
    """Make or find Krita and GIMP; return a line for each that is missing. Raises Failed."""
    sys.path.insert(0, str(ROOT))
    from installer import host_root
    from installer import hosts as module

    if module.can_make_root():
        say("looking for Krita and GIMP; the first time they are downloaded, which takes minutes.")
        try:
            host_root.setup(host_root.hosts_dir(), say)
        except module.HostError as error:
            if required:
                raise Failed(str(error)) from error
            say(str(error))
    present = module.find_hosts()
    for line in module.describe(present):
        say(line)
    missing = [name for name, host in (("Krita", present.krita), ("GIMP", present.gimp)) if host is None]
    if missing and required:
        raise Failed(f"no {' and no '.join(missing)} to test with, and --require-hosts was given.")
    return [f"NOT TESTED: the {name} plugin in a real {name}; {module.advice()}." for name in missing]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `demo`, `test` or `fast`; return the exit code."""
    if sys.version_info < (3, 11):
        print("velatura: this needs Python 3.11 or newer.", file=sys.stderr)
        return 1
    parser = argparse.ArgumentParser(prog="run.py", description="Install Velatura here and try or test it.")
    commands = parser.add_subparsers(dest="command", required=True)
    demonstration = commands.add_parser("demo", help="edit a sample picture with the embedded model")
    demonstration.add_argument("--open", action="store_true", help="show the result on the desktop")
    tests = commands.add_parser("test", help="run every test, with the real Krita and GIMP where possible")
    tests.add_argument("--require-hosts", action="store_true", help="fail where Krita or GIMP is missing")
    tests.add_argument("selection", nargs="*", help="files and options for pytest instead of all tests")
    commands.add_parser(
        "fast", help="check style, types and imports, and run the tests that need no host, daemon or model"
    )
    options = parser.parse_args(arguments)
    try:
        if options.command == "demo":
            return demo(options.open)
        if options.command == "fast":
            return fast()
        return test(options.require_hosts, options.selection)
    except Failed as failure:
        print(f"velatura: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("velatura: interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
