"""The Debian trixie root that holds Krita 5.2 and GIMP 3.0: make it, enter it.

The root is built beside its final place and renamed when it is whole, so what
lies there is always complete.  An interrupted build goes on after its last
finished stage, and a changed recipe builds a new root.

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

SUITE = "trixie"
#: Everything the hosts and the tests that drive them need, and no more.
PACKAGES = (
    "krita", "python3-pyqt5", "python3-pyqt5.sip",  # PyQt is only recommended by krita
    "gimp", "gir1.2-gimp-3.0", "python3-gi",
    "xvfb", "xdotool", "openbox", "fonts-dejavu-core",
)  # fmt: skip
RECIPE = 2  #: raise it when the way the root is made changes
NEEDED_BYTES = 3_000_000_000  #: the root itself, what apt fetches, and the warmed HOMEs
STAMP = "velatura-root.json"
BASE_DONE = "velatura-base-done"
#: Never read by a test; left out of the root they save time and disk.
EXCLUDED = ("doc", "man", "info", "locale", "help", "gtk-doc", "lintian")
#: Settings of the machine's own apt that decide whether anything can be fetched.
APT_SETTING = re.compile(r'(Acquire::(?:[a-z-]*proxy[a-z-]*|https?|ftp|Check-|Retries)[^ ]*) "(.+)";', re.I)

#: First process of a command's namespace.  It sets the mounts up, starts the
#: command, hands it a request to end (an X server leaves the process group, so
#: the signal would miss it) and waits.  Its end ends everything in there.
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

#: What every command that could leave something behind is started with: the death
#: of the caller's thread ends it, and its end ends its children and its mounts.
ALONE = (
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
)  # fmt: skip

Say = Callable[[str], None]


class HostError(RuntimeError):
    """Something about the hosts is wrong; the text says what and what to do."""


def enter(root: Path, inner: Sequence[str], binds: Iterable[tuple[Path, Path]] = ()) -> list[str]:
    """Return the command that runs `inner` in `root`, in namespaces of its own.

    `binds` are (outside, inside) paths.  /tmp is always shared.  The network is
    too: a host has to reach a daemon that runs outside.
    """
    pairs = [str(p) for a, b in binds if not (a == b and a.is_relative_to("/tmp")) for p in (a, b)]
    return [
        *ALONE, "sh", "-c", INIT, "init", str(root), *pairs, "--", *inner,
    ]  # fmt: skip


def hosts_dir() -> Path:
    """Return where the root is, or would be, kept."""
    if chosen := os.environ.get("VELATURA_HOSTS_DIR"):
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "velatura" / "hosts" / SUITE


def fingerprint() -> str:
    """Return a hash of all that decides what is in the root."""
    return hashlib.sha256(json.dumps([RECIPE, SUITE, PACKAGES, EXCLUDED]).encode()).hexdigest()


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


def setup(root: Path, say: Say) -> dict:
    """Make the root unless it is there and current; return its stamp."""
    if stamp := read_stamp(root):
        return stamp
    root.parent.mkdir(parents=True, exist_ok=True)
    with _locked(root.with_name(root.name + ".lock"), say):
        if stamp := read_stamp(root):  # made while this process waited
            return stamp
        return _build(root, say)


def _build(root: Path, say: Say) -> dict:
    """Build the root in its partial place, then move it to its own."""
    partial, log = root.with_name(root.name + ".partial"), root.with_name(root.name + ".log")
    started = time.monotonic()
    log.write_text("")
    _install_tools(say, log)
    _check_machine(root)
    resumed = _same_recipe(partial)
    if resumed:
        say(f"1/3 base system is there already, going on in {partial}")
    else:
        _make_base(partial, say, log)
    try:
        _install_packages(partial, say, log)
    except HostError:
        if not resumed:
            raise
        say("the interrupted set-up cannot be taken up, starting again")
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
    """Make a small Debian, in place of what an interrupted build left."""
    say(f"1/3 base system ({SUITE}) into {partial}")
    shutil.rmtree(partial, ignore_errors=True)
    words = [*ALONE, "--mount-proc", "debootstrap", "--variant=minbase", SUITE, str(partial)]
    _run("making the base system", words, log)
    _configure(partial)
    (partial / BASE_DONE).write_text(fingerprint())


def _install_packages(partial: Path, say: Say, log: Path) -> None:
    """Install the hosts; what an earlier try has installed is not installed again."""
    say("2/3 Krita, GIMP and a virtual display (about 400 MB to fetch)")
    for what, *words in (
        ("going on with the packages", "dpkg", "--configure", "-a"),
        ("fetching the list of packages", "apt-get", "update"),
        ("installing", "apt-get", "install", "-y", "--no-install-recommends", *PACKAGES),
        ("cleaning up", "apt-get", "clean"),
        # Krita's own plugins, which each start would otherwise compile anew.
        ("compiling", "python3", "-Wignore", "-m", "compileall", "-q", "/usr/share/krita/pykrita"),
    ):
        _run(what, enter(partial, _apt_environment() + words), log)


def _install_tools(say: Say, log: Path) -> None:
    """Install what makes a root on this machine, if it is missing."""
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
    """Say in a sentence what would otherwise fail minutes later."""
    words = ["unshare", "--mount", "--pid", "--fork", "true"]
    if subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        raise HostError(
            "This machine does not let root make namespaces (an unprivileged container does not), "
            "so the test hosts cannot be set up on it."
        )
    if shutil.disk_usage(root.parent).free < NEEDED_BYTES:
        raise HostError(
            f"The test hosts need {NEEDED_BYTES / 1e9:.0f} GB of disk, "
            f"and {root.parent} has not as much left. "
            "VELATURA_HOSTS_DIR may name another place."
        )


def _same_recipe(partial: Path) -> bool:
    """Say whether an interrupted build of this very recipe has its base system."""
    try:
        return (partial / BASE_DONE).read_text() == fingerprint()
    except OSError:
        return False


def _configure(root: Path) -> None:
    """Prepare a fresh base system: fetch as this machine does, install only what is used."""
    dpkg = [f"path-exclude=/usr/share/{name}/*" for name in EXCLUDED]
    _write(root / "etc/dpkg/dpkg.cfg.d/velatura", "\n".join(["force-unsafe-io", *dpkg]) + "\n")
    lines = ['APT::Install-Recommends "false";', 'Acquire::Languages "none";', 'Acquire::Retries "3";']
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    for name, value in APT_SETTING.findall(dump):
        lines.append(f'{name} "{value}";')
        if value.startswith("/") and Path(value).is_file():  # a certificate, or a script that finds the proxy
            (root / value[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(value, root / value[1:])
    _write(root / "etc/apt/apt.conf.d/90velatura", "\n".join(lines) + "\n")
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():  # with certificates of the machine's own, if it has any
        _write(root / "etc/ssl/certs/ca-certificates.crt", bundle.read_text())
    for name in ("hosts", "resolv.conf"):
        with contextlib.suppress(OSError):
            _write(root / "etc" / name, Path("/etc", name).read_text())
    _write(root / "etc/machine-id", uuid.uuid4().hex + "\n")
    _write(root / "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")  # installing starts no service
    (root / "usr/sbin/policy-rc.d").chmod(0o755)


def _write(path: Path, text: str) -> None:
    """Write a file of the root, in place of any link that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)


def _apt_environment() -> list[str]:
    """Return the words before an apt command: a plain environment with the machine's proxies."""
    kept = {k: v for k, v in os.environ.items() if k.lower() in ("http_proxy", "https_proxy", "no_proxy")}
    kept |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    kept |= {"DEBIAN_FRONTEND": "noninteractive"}
    return ["/usr/bin/env", "-i", *(f"{k}={v}" for k, v in kept.items())]


def _run(what: str, words: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> str:
    """Run a step, keep its output in `log`, and return its standard output."""
    with log.open("a") as out:
        result = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out, text=True
        )
        out.write(result.stdout)
    if result.returncode:
        tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-8:])
        raise HostError(
            f"The test hosts could not be set up: {what} ended with {result.returncode}. "
            f"The last lines of {log} are:\n  {tail}\n"
            "Running the same command again goes on from here."
        )
    return result.stdout


@contextlib.contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    """Hold a lock file, so that two set-ups at once make one root."""
    import fcntl  # not there on Windows, where no root is made

    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up to finish")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
