#!/usr/bin/env python3
"""Real Krita and real GIMP to test against.

``python3 installer/hosts.py setup`` makes, once, a Debian trixie root that
holds Krita 5.2 and GIMP 3.0 and keeps it under the user's cache.  That needs
Debian or Ubuntu and root rights.  Anywhere else the hosts on PATH are used,
and one that is missing is reported, not an error.

``find_hosts()`` says what there is; ``Host.run`` and ``Host.popen`` start a
program beside that host and hide whether it lives in the root or natively.
In the root every command has a mount and a process namespace of its own: when
the command ends, or is killed, the kernel takes its children and its mounts
away with it, so nothing can be left behind.

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

try:
    from installer.host_root import HostError, can_make_root, enter, hosts_dir, read_stamp, setup
except ImportError:  # run as a script: this folder, not its parent, is on the path
    from host_root import HostError, can_make_root, enter, hosts_dir, read_stamp, setup

__all__ = ["Host", "HostError", "Hosts", "advice", "find_hosts", "stop_process"]


@dataclass(frozen=True)
class Host:
    """One real application, and the place in which it runs."""

    name: str
    command: str
    version: str
    root: Path | None = None

    def has(self, program: str) -> bool:
        """Say whether `program` can be run beside this host."""
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
        **options,
    ) -> subprocess.Popen:
        """Start `argv` with a clean environment; end it with `stop_process`.

        `home` becomes HOME.  It and /tmp are seen at the same paths inside;
        `binds` names more directories as (outside, inside).  `options` go to
        `subprocess.Popen`.  The process dies with the thread that started it,
        so start it from one that lives as long.
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
    ) -> subprocess.CompletedProcess:
        """Run `argv` to its end; stdout and stderr come back together as text.

        After `timeout` seconds everything it started is killed and
        `subprocess.TimeoutExpired` is raised with what it had written.
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
    """What this machine offers; None where there is nothing."""

    krita: Host | None
    gimp: Host | None


def stop_process(process: subprocess.Popen, grace: float = 3) -> int:
    """End a process of `Host.popen` and all it started; return its exit code."""
    for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 10)):
        if wait and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # a native host's children outlive it otherwise
    return process.wait(10)


def find_hosts() -> Hosts:
    """Find Krita and GIMP: in the root when it is made, otherwise on PATH."""
    root = hosts_dir()
    stamp = read_stamp(root) if can_make_root() else None
    if stamp:
        return Hosts(
            Host("krita", "/usr/bin/krita", stamp["krita"], root),
            Host("gimp", "/usr/bin/gimp-3.0", stamp["gimp"], root),
        )
    return Hosts(
        _native("krita", ("krita",), (5, 2)),
        _native("gimp", ("gimp-3.2", "gimp-3.0", "gimp"), (3, 0)),
    )


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
        found = re.search(r"(\d+)\.(\d+)(\.\d+)?", reply)
        if found and (int(found[1]), int(found[2])) >= oldest:
            return Host(name, command, found[0])
    return None


def advice() -> str:
    """Return what to do about a host that is missing."""
    return "`python3 installer/hosts.py setup` makes it" if can_make_root() else "install it to test with it"


def describe(hosts: Hosts) -> list[str]:
    """Return a line for each host: what was found, or what to do."""
    return [
        f"{name}: {host.version}, {host.root or host.command}" if host else f"{name}: not found; {advice()}"
        for name, host in (("Krita", hosts.krita), ("GIMP", hosts.gimp))
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Set the hosts up, say what there is, or run a command beside them."""
    parser = argparse.ArgumentParser(prog="hosts.py", description="Real Krita and GIMP to test against.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make the root with Krita and GIMP, where that is possible")
    commands.add_parser("status", help="say which hosts there are")
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
            print("hosts: there is no host to run a command beside, or no command", file=sys.stderr)
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
