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
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
#: Everything the hosts and the tests that drive them need, and no more.
PACKAGES = (
    "krita", "python3-pyqt5", "python3-pyqt5.sip",  # PyQt is only recommended by krita
    "gimp", "gir1.2-gimp-3.0", "python3-gi",
    "xvfb", "xdotool", "openbox", "fonts-dejavu-core",
)  # fmt: skip
RECIPE = 1  #: raise it when the way the root is made changes
STAMP = "velatura-root.json"
#: Never read by a test; left out of the root they save time and disk.
EXCLUDED = ("doc", "man", "info", "locale", "help", "gtk-doc", "lintian")
NEEDED_TOOLS = ("debootstrap", "unshare", "setpriv", "mount", "chroot")

#: First process of a root's namespace.  It sets the mounts up, starts the
#: command and waits: as process 1 it ignores what the command is sent, and its
#: end is the end of everything the command started.
INIT = """
set -eu
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /tmp "$root/tmp"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; : >>"$root$2"; fi
  mount --rbind "$1" "$root$2"
  shift 2
done
shift
chroot "$root" "$@" <&0 &
wait $!
"""


class HostError(RuntimeError):
    """Something about the hosts is wrong; the text says what and what to do."""


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


def enter(root: Path, inner: Sequence[str], binds: Iterable[tuple[Path, Path]] = ()) -> list[str]:
    """Return the command that runs `inner` inside `root`, in namespaces of its own."""
    pairs = [str(p) for a, b in binds if not (a == b and a.is_relative_to("/tmp")) for p in (a, b)]
    return [
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
        "sh", "-c", INIT, "init", str(root), *pairs, "--", *inner,
    ]  # fmt: skip


def hosts_dir() -> Path:
    """Return where the root is, or would be, kept."""
    if chosen := os.environ.get("VELATURA_HOSTS_DIR"):
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "velatura" / "hosts" / SUITE


def fingerprint() -> str:
    """Return a hash of all that decides what is in the root."""
    recipe = json.dumps([RECIPE, SUITE, PACKAGES, EXCLUDED])
    return hashlib.sha256(recipe.encode()).hexdigest()


def read_stamp(root: Path) -> dict | None:
    """Return the stamp of a finished, current root, or None."""
    try:
        stamp = json.loads((root / STAMP).read_text())
    except (OSError, ValueError):
        return None
    return stamp if stamp.get("fingerprint") == fingerprint() else None


def can_make_root() -> bool:
    """Say whether this machine can make and enter the root."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None


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
