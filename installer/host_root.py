"""Makes and enters the Debian root that holds Krita and GIMP: 5.2 and 3.0 from Debian trixie, or newer ones.

VELATURA_HOSTS_SUITE=testing names the suite after trixie, which has Krita 5.3 and GIMP 3.2; each suite has a
root of its own.

The root is built beside its final place and renamed once it is complete, so a root in the final place is
always complete. An interrupted build resumes after its last finished stage. A changed recipe builds a new
root.

Standard library only, Python 3.11 up; needs Debian or Ubuntu, and root rights.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path

FIRST = "trixie"  #: the suite that the tests run with
SUITE = os.environ.get("VELATURA_HOSTS_SUITE") or FIRST
#: Everything the hosts and the tests that drive them need, and no more.
PACKAGES = (
    "krita", "python3-pyqt5", "python3-pyqt5.sip",  # PyQt is only recommended by krita
    "gimp", "gir1.2-gimp-3.0", "python3-gi",
    "xvfb", "xdotool", "openbox", "fonts-dejavu-core",
)  # fmt: skip
RECIPE = 2  #: raise it when the steps that make the root change
NEEDED_BYTES = 3_000_000_000  #: for the root, apt's downloads and the prepared HOMEs
STAMP = "velatura-root.json"
BASE_DONE = "velatura-base-done"
#: Folders of /usr/share that no test reads; leaving them out saves time and disk.
EXCLUDED = ("doc", "man", "info", "locale", "help", "gtk-doc", "lintian")
#: The settings of the machine's own apt that downloads need.
APT_SETTING = re.compile(r'(Acquire::(?:[a-z-]*proxy[a-z-]*|https?|ftp|Check-|Retries)[^ ]*) "(.+)";', re.I)

#: The first process of a command's namespace. It mounts, starts the command, forwards SIGTERM to it (an X
#: server leaves the process group, so the signal would miss it) and waits. Its end ends every process in the
#: namespace.
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
child=$!
trap 'kill -TERM $child 2>/dev/null || :' TERM
while :; do
  code=0; wait $child || code=$?
  kill -0 $child 2>/dev/null || exit $code
done
"""

#: The words before every command that could leave processes or mounts behind: the death of the caller's
#: thread ends the command, and its end ends its children and its mounts.
ALONE = (
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
)  # fmt: skip

Say = Callable[[str], None]


class HostError(RuntimeError):
    """A fault of the hosts; the text names it and says what to do."""


def enter(root: Path, inner: Sequence[str], binds: Iterable[tuple[Path, Path]] = ()) -> list[str]:
    """Return the command that runs `inner` in `root`, in namespaces of its own.

    Args:
        root: the root.
        inner: the command.
        binds: (outside, inside) paths. /tmp is always shared; so is the network, because a host has to reach
            a daemon outside.
    """
    pairs = [str(p) for a, b in binds if not (a == b and a.is_relative_to("/tmp")) for p in (a, b)]
    return [
        *ALONE, "sh", "-c", INIT, "init", str(root), *pairs, "--", *inner,
    ]  # fmt: skip


def hosts_dir() -> Path:
    """Return the path of the root, which need not exist."""
    if chosen := os.environ.get("VELATURA_HOSTS_DIR"):
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "velatura" / "hosts" / SUITE


def fingerprint() -> str:
    """Return a hash of everything that determines the root's content."""
    return hashlib.sha256(json.dumps([RECIPE, SUITE, PACKAGES, EXCLUDED]).encode()).hexdigest()


def read_stamp(root: Path) -> dict[str, str] | None:
    """Return the stamp of a finished, current root, or None: its fingerprint and the hosts' versions."""
    try:
        stamp: dict[str, str] = json.loads((root / STAMP).read_text())
        is_current = stamp["fingerprint"] == fingerprint()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp if is_current else None


def can_make_root() -> bool:
    """Return whether this machine can make and enter the root."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def setup(root: Path, say: Say) -> dict[str, str]:
    """Make the root unless a current one exists; return its stamp. Raises HostError."""
    if stamp := read_stamp(root):
        return stamp
    root.parent.mkdir(parents=True, exist_ok=True)
    with _locked(root.with_name(root.name + ".lock"), say):
        if stamp := read_stamp(root):  # another process made it meanwhile
            return stamp
        return _build(root, say)


def _build(root: Path, say: Say) -> dict[str, str]:
    """Build the root in a partial place, then move it to its final one."""
    partial, log = root.with_name(root.name + ".partial"), root.with_name(root.name + ".log")
    started = time.monotonic()
    log.write_text("")
    _install_tools(say, log)
    _check_machine(root)
    resumed = _same_recipe(partial)
    if resumed:
        say(f"1/3 base system exists already, resuming in {partial}")
    else:
        _make_base(partial, say, log)
    try:
        _install_packages(partial, say, log)
    except HostError:
        if not resumed:
            raise
        say("the interrupted set-up cannot be resumed, starting again")
        _make_base(partial, say, log)
        _install_packages(partial, say, log)
    say("3/3 check")
    stamp = {"fingerprint": fingerprint(), "suite": SUITE}
    for package in ("krita", "gimp"):
        query = ["dpkg-query", "-W", "-f", "${Version}", package]
        version = _run(f"looking for {package}", enter(partial, query), log).strip()
        stamp[package] = re.sub(r"^\d+:|[-+~].*$", "", version)
    (partial / STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
    stale = root.with_name(root.name + ".stale")
    shutil.rmtree(stale, ignore_errors=True)
    if root.exists():
        root.rename(stale)
    partial.rename(root)
    shutil.rmtree(stale, ignore_errors=True)
    say(f"made {root} in {time.monotonic() - started:.0f} s")
    return stamp


def _make_base(partial: Path, say: Say, log: Path) -> None:
    """Make a small Debian, and delete the remains of an interrupted build."""
    say(f"1/3 base system ({SUITE}) into {partial}")
    shutil.rmtree(partial, ignore_errors=True)
    words = [*ALONE, "--mount-proc", "debootstrap", "--variant=minbase", *_keyring(), SUITE, str(partial)]
    _run("making the base system", words, log)
    _configure(partial)
    (partial / BASE_DONE).write_text(fingerprint())


def _keyring() -> list[str]:
    """Return debootstrap's words for the newest keys here: an older Debian lacks those of a newer suite, and
    the first root has them."""
    keys = hosts_dir().with_name(FIRST) / "usr/share/keyrings/debian-archive-keyring.gpg"
    return [f"--keyring={keys}"] if SUITE != FIRST and keys.exists() else []


def _install_packages(partial: Path, say: Say, log: Path) -> None:
    """Install the hosts; resume where an earlier attempt was interrupted."""
    say("2/3 Krita, GIMP and a virtual display (about 400 MB to fetch)")
    for step, *words in (
        ("resuming the packages", "dpkg", "--configure", "-a"),
        ("fetching the list of packages", "apt-get", "update"),
        ("installing", "apt-get", "install", "-y", "--no-install-recommends", *PACKAGES),
        ("cleaning up", "apt-get", "clean"),
        # Krita's own plugins; otherwise each start would compile them again.
        ("compiling", "python3", "-Wignore", "-m", "compileall", "-q", "/usr/share/krita/pykrita"),
    ):
        _run(step, enter(partial, _apt_environment() + words), log)


def _install_tools(say: Say, log: Path) -> None:
    """Install the tools that make a root, if this machine lacks them."""
    wanted = {"debootstrap": "debootstrap", "unshare": "util-linux", "setpriv": "util-linux"}
    missing = {package for tool, package in wanted.items() if not shutil.which(tool)}
    if not missing:
        return
    say(f"installing {', '.join(sorted(missing))}")
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        missing.add("debian-archive-keyring")  # on Debian's derivatives
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    words = ["apt-get", "install", "-y", "--no-install-recommends", *sorted(missing)]
    _run("fetching the list of packages", ["apt-get", "update"], log, environment)
    _run("installing " + " ".join(missing), words, log, environment)


def _check_machine(root: Path) -> None:
    """Raise HostError at once for a fault that would otherwise appear minutes later."""
    words = ["unshare", "--mount", "--pid", "--fork", "true"]
    if subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        raise HostError(
            "This machine does not let root make namespaces (an unprivileged container does not), "
            "so the test hosts cannot be set up on it."
        )
    if shutil.disk_usage(root.parent).free < NEEDED_BYTES:
        raise HostError(
            f"The test hosts need {NEEDED_BYTES / 1e9:.0f} GB of disk, "
            f"and {root.parent} has less. "
            "Free some, or name another place in VELATURA_HOSTS_DIR."
        )


def _same_recipe(partial: Path) -> bool:
    """Return whether an interrupted build of the same recipe has its base system."""
    try:
        return (partial / BASE_DONE).read_text() == fingerprint()
    except OSError:
        return False


def _configure(root: Path) -> None:
    """Configure a fresh base system: download as this machine does, leave out EXCLUDED."""
    dpkg = [f"path-exclude=/usr/share/{name}/*" for name in EXCLUDED]
    _write(root / "etc/dpkg/dpkg.cfg.d/velatura", "\n".join(["force-unsafe-io", *dpkg]) + "\n")
    lines = ['APT::Install-Recommends "false";', 'Acquire::Languages "none";', 'Acquire::Retries "3";']
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    for name, value in APT_SETTING.findall(dump):
        lines.append(f'{name} "{value}";')
        if value.startswith("/") and Path(value).is_file():  # a certificate, or a script that names the proxy
            (root / value[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(value, root / value[1:])
    _write(root / "etc/apt/apt.conf.d/90velatura", "\n".join(lines) + "\n")
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():  # it includes the machine's own certificates, if any
        _write(root / "etc/ssl/certs/ca-certificates.crt", bundle.read_text())
    for name in ("hosts", "resolv.conf"):
        with contextlib.suppress(OSError):
            _write(root / "etc" / name, Path("/etc", name).read_text())
    _write(root / "etc/machine-id", uuid.uuid4().hex + "\n")
    _write(root / "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")  # installing starts no service
    (root / "usr/sbin/policy-rc.d").chmod(0o755)


def _write(path: Path, text: str) -> None:
    """Write a file of the root; replace a link of this name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)


def _apt_environment() -> list[str]:
    """Return the words before an apt command: a plain environment with the machine's proxies."""
    kept = {k: v for k, v in os.environ.items() if k.lower() in ("http_proxy", "https_proxy", "no_proxy")}
    kept |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    kept |= {"DEBIAN_FRONTEND": "noninteractive"}
    return ["/usr/bin/env", "-i", *(f"{k}={v}" for k, v in kept.items())]


def _run(step: str, words: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command, append its output to `log`, and return its standard output. Raises HostError.

    step: the name of the step, for the message.
    """
    with log.open("a") as out:
        result = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out, text=True
        )
        out.write(result.stdout)
    if result.returncode:
        tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-8:])
        raise HostError(
            f"The test hosts could not be set up: {step} ended with {result.returncode}. "
            f"The last lines of {log} are:\n  {tail}\n"
            "Run the same command again to resume from here."
        )
    return result.stdout


@contextlib.contextmanager
def _locked(path: Path, say: Say) -> Generator[None]:
    """Hold a lock file, so that two set-ups at the same time make one root."""
    import fcntl  # Windows has none; no root is made there

    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up to finish")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
