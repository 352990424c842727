#!/usr/bin/env python3
"""Finds or makes a real Krita and a real GIMP to test against.

``python3 installer/hosts.py setup`` makes, once, a Debian trixie root with Krita 5.2 and GIMP 3.0 and keeps
it under the user's cache. That needs Debian or Ubuntu and root rights. Elsewhere the hosts on PATH are used,
and a missing one is reported, which is no error.

``find_hosts()`` returns the hosts. ``Host.run`` and ``Host.popen`` start a program beside a host, in the root
or natively. In the root every command has a mount and a process namespace of its own: when the command ends,
or is killed, the kernel removes its children and its mounts, so nothing is left behind.

Standard library only, Python 3.11 up.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    from installer.host_root import HostError, can_make_root, enter, hosts_dir, read_stamp, setup
except ImportError:  # run as a script: this folder, not its parent, is on the path
    from host_root import HostError, can_make_root, enter, hosts_dir, read_stamp, setup

__all__ = ["Host", "HostError", "Hosts", "advice", "find_hosts", "stop_process"]


@dataclass(frozen=True)
class Host:
    """One real application.

    Args:
        name: `krita` or `gimp`.
        command: its program.
        version: its version.
        root: the root that holds it; None where it is installed natively.
    """

    name: str
    command: str
    version: str
    root: Path | None = None

    def has(self, program: str) -> bool:
        """Return whether `program` can be run beside this host."""
        if self.root is None:
            return shutil.which(program) is not None
        return any((self.root / d / program).exists() for d in ("usr/bin", "usr/sbin"))

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        home: str | Path,
        cwd: str | Path | None = None,
        binds: Iterable[tuple[str | Path, str | Path]] = (),
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """Start a command with a clean environment; end it with `stop_process`.

        The process dies with the thread that started it, so that thread has to outlive it.

        Args:
            argv: the command.
            env: further variables.
            home: HOME. It and /tmp have the same paths inside the root.
            cwd: the working directory; `home` where it is None.
            binds: further directories as (outside, inside).
            options: passed to `subprocess.Popen`.
        """
        home = Path(home).resolve()
        runtime = home / "run"
        runtime.mkdir(parents=True, exist_ok=True)
        runtime.chmod(0o700)  # Qt and GLib refuse a runtime folder that others may read
        clean = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin" if self.root else os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "NO_AT_BRIDGE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }
        words = [str(word) for word in argv]
        folder = str(Path(cwd or home).resolve())
        options.setdefault("stdin", subprocess.DEVNULL)
        if self.root is None:
            return subprocess.Popen(words, env=clean, cwd=folder, start_new_session=True, **options)
        pairs = [(home, home), *((Path(a).resolve(), Path(b)) for a, b in binds)]
        inner = ["/usr/bin/env", "-i", f"--chdir={folder}", *(f"{k}={v}" for k, v in clean.items()), *words]
        return subprocess.Popen(enter(self.root, inner, pairs), start_new_session=True, **options)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        home: str | Path,
        timeout: float,
        cwd: str | Path | None = None,
        binds: Iterable[tuple[str | Path, str | Path]] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and return its stdout and stderr together, as text.

        The arguments are those of `popen`. After `timeout` seconds the command and all its children are
        killed, and `subprocess.TimeoutExpired` is raised with the output so far.
        """
        process = self.popen(
            argv, env=env, home=home, cwd=cwd, binds=binds,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            stop_process(process, grace=0)
            output, _ = process.communicate()
            raise subprocess.TimeoutExpired(list(argv), timeout, output=output) from error
        except BaseException:
            stop_process(process, grace=0)
            raise
        return subprocess.CompletedProcess(list(argv), process.returncode, output)


@dataclass(frozen=True)
class Hosts:
    """The hosts of this machine; None for one that is missing."""

    krita: Host | None
    gimp: Host | None


def stop_process(process: subprocess.Popen[Any], grace: float = 3) -> int:
    """End a process of `Host.popen` and its children; return its exit code.

    grace: seconds between SIGTERM and SIGKILL; 0 kills at once.
    """
    for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 10)):
        if wait and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # otherwise a native host's children outlive it
    return process.wait(10)


def find_hosts() -> Hosts:
    """Find Krita and GIMP in the root, or on PATH where there is no root."""
    root = hosts_dir()
    stamp = read_stamp(root) if can_make_root() else None
    if stamp:
        return Hosts(
            Host("krita", "/usr/bin/krita", stamp["krita"], root),
            Host("gimp", _gimp_of(stamp["gimp"]), stamp["gimp"], root),
        )
    return Hosts(
        _native("krita", ("krita",), (5, 2)),
        _native("gimp", ("gimp-3.2", "gimp-3.0", "gimp"), (3, 0)),
    )


def _gimp_of(version: str) -> str:
    """Return the program of this version in a root: "gimp-3.2" for 3.2.6."""
    return f"/usr/bin/gimp-{'.'.join(version.split('.')[:2])}"


def _native(name: str, commands: Sequence[str], oldest: tuple[int, int]) -> Host | None:
    """Return the first of `commands` on PATH that is at least version `oldest`."""
    for command in filter(None, map(shutil.which, commands)):
        try:
            environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
            reply = subprocess.run(
                [command, "--version"], env=environment, capture_output=True, text=True, timeout=30
            ).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = re.search(r"(\d+)\.(\d+)(\.\d+)?", reply)
        if version and (int(version[1]), int(version[2])) >= oldest:
            return Host(name, command, version[0])
    return None


def advice() -> str:
    """Return the advice for a missing host."""
    return "`python3 installer/hosts.py setup` makes it" if can_make_root() else "install it to test with it"


def describe(hosts: Hosts) -> list[str]:
    """Return a line for each host: its version and place, or advice."""
    return [
        f"{name}: {host.version}, {host.root or host.command}" if host else f"{name}: not found; {advice()}"
        for name, host in (("Krita", hosts.krita), ("GIMP", hosts.gimp))
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: set the hosts up, list or remove them, or run a command beside one."""
    parser = argparse.ArgumentParser(prog="hosts.py", description="Real Krita and GIMP to test against.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make the root with Krita and GIMP, where that is possible")
    commands.add_parser("status", help="list the hosts")
    commands.add_parser("remove", help="delete the root")
    shell = commands.add_parser("run", help="run a command in the root, or beside the native host")
    shell.add_argument("argv", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(arguments)
    if chosen.command == "remove":
        for path in hosts_dir().parent.glob(hosts_dir().name + "*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return 0
    if chosen.command == "setup" and can_make_root():
        try:
            setup(hosts_dir(), lambda line: print(f"hosts: {line}", flush=True))
        except HostError as error:
            print(f"hosts: {error}", file=sys.stderr)
            return 1
    hosts = find_hosts()
    if chosen.command == "run":
        host = hosts.krita or hosts.gimp
        if chosen.argv[:1] == ["--"]:
            chosen.argv.pop(0)
        if not host or not chosen.argv:
            fault = "name a command to run" if host else f"there is no host to run it beside; {advice()}"
            print(f"hosts: {fault}", file=sys.stderr)
            return 1
        here = Path.cwd()
        with tempfile.TemporaryDirectory(prefix="velatura-host-") as home:
            process = host.popen(chosen.argv, home=home, cwd=here, binds=[(here, here)], stdin=None)
            try:
                return process.wait()
            finally:
                stop_process(process)
    print("\n".join(describe(hosts)))
    return 0 if hosts.krita and hosts.gimp else 3


if __name__ == "__main__":
    sys.exit(main())
