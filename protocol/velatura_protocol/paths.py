"""The paths to the daemon: state directory, connection file, the file that `velatura install` leaves in a
plugin."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .endpoints import check_endpoint, resolve
from .errors import VelaturaError
from .reading import JsonObject, as_object, text_of

CONNECTION_FILE = "connection.json"
HOST_CONFIG = "velatura.json"
_MAX_FILE = 64 * 1024


# For clients before 1.4, which know no Unix sockets and send the token to an unproved peer: they read these
# entries and tell the person to update the plugin.
FOR_OLDER = {"protocol": "2.0", "host": "127.0.0.1", "control_port": 1, "blob_port": 1}


@dataclass(frozen=True)
class Connection:
    """The connection file of SPEC section 1.

    Attributes:
        wire: the version of the protocol.
        control: an endpoint; a Unix socket's as the name of a file in `folder`.
        blob: the same.
        token: a secret, left out of the representation.
        pid: the daemon's process.
        instance: the same as in its welcome.
        version: the daemon's.
        folder: the directory of the connection file.
    """

    wire: str
    control: str
    blob: str
    token: str = field(repr=False)
    pid: int
    instance: str
    version: str
    folder: str = field(default="", compare=False)

    def control_endpoint(self) -> str:
        return resolve(self.control, self.folder)

    def blob_endpoint(self) -> str:
        return resolve(self.blob, self.folder)


def state_dir(
    override: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    platform: str | None = None,
) -> Path:
    """The daemon's directory: `override`, else $VELATURA_STATE_DIR, else the platform's place (SPEC 1).

    $XDG_STATE_HOME is ignored: inside a Flatpak it names another directory than outside, and plugin and
    daemon have to agree. environ and platform replace `os.environ` and `sys.platform`.
    """
    environ = os.environ if environ is None else environ
    platform = sys.platform if platform is None else platform
    chosen = override or environ.get("VELATURA_STATE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else _home(environ, "USERPROFILE") / "AppData" / "Local") / "velatura"
    home = _home(environ, "HOME")
    if platform == "darwin":
        return home / "Library" / "Application Support" / "velatura"
    return home / ".local" / "state" / "velatura"


def _home(environ: Mapping[str, str], variable: str) -> Path:
    home = environ.get(variable)
    return Path(home) if home else Path.home()


def read_connection(state_dir: str | os.PathLike[str]) -> Connection:
    """The connection file.

    Raises `not-running` if there is none, or it is incomplete or an older daemon's; `unavailable` if file or
    directory belong to another user, or others may read the file or write to the directory.
    """
    folder = Path(state_dir).absolute()
    path = folder / CONNECTION_FILE
    try:
        check_folder(folder, os.stat(folder))
        # a symbolic link must not lead elsewhere, and a pipe without a writer must not block
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            text = file.read(_MAX_FILE)
    except PermissionError as error:
        raise _not_private(path, str(error)) from None
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise _not_private(path, str(error)) from None
        raise _not_running(str(error)) from None
    try:
        return _connection(json.loads(text.decode("utf-8")), folder)
    except (ValueError, RecursionError) as error:
        raise _not_running(f"{path}: {error}") from None


def check_folder(folder: Path, status: os.stat_result) -> None:
    """Raises `unavailable` if another user may put files into the state directory."""
    if os.name != "posix":  # elsewhere the profile's folder is the person's own, and modes mean nothing
        return
    detail = f"{folder}: {stat.filemode(status.st_mode)}, owner {status.st_uid}"
    if status.st_uid != os.geteuid():
        raise VelaturaError(
            "unavailable",
            f"Velatura's directory {folder} belongs to another user; choose another: VELATURA_STATE_DIR or "
            "--state-dir.",
            hint=str(folder),
            detail=detail,
        )
    if status.st_mode & 0o022:
        raise VelaturaError(
            "unavailable",
            f"Other users may write into Velatura's directory; forbid it: chmod go-w {folder}",
            hint=str(folder),
            detail=detail,
        )


def _check_private(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid != os.geteuid():
        raise _not_private(path, f"mode {stat.filemode(status.st_mode)}, owner {status.st_uid}")


def _not_private(path: Path, detail: str) -> VelaturaError:
    return VelaturaError(
        "unavailable",
        "The file with the daemon's password is not yours alone; stop the daemon, delete the file and start "
        "the daemon again.",
        hint=str(path),
        detail=detail,
    )


def _not_running(detail: str) -> VelaturaError:
    return VelaturaError(
        "not-running", "Velatura's daemon is not running; start it.", retryable=True, detail=detail
    )


def _connection(value: object, folder: Path) -> Connection:
    d = as_object(value)
    if d is None:
        raise ValueError("not an object")
    if "wire" not in d and "control_port" in d:
        raise VelaturaError(
            "not-running",
            "The last daemon here was an older Velatura's; end it if it still runs, then start the daemon.",
            retryable=True,
            detail=f"version {d.get('version')!r:.40}, process {d.get('pid')!r:.40}",
        )
    if not all(isinstance(d.get(key), str) for key in ("wire", "token", "instance", "version")):
        raise ValueError("a text is missing")
    pid = d.get("pid")
    if type(pid) is not int or pid <= 0:
        raise ValueError("the number of the process is missing")
    return Connection(
        wire=text_of(d, "wire"),
        control=check_endpoint(d.get("control")),
        blob=check_endpoint(d.get("blob")),
        token=text_of(d, "token"),
        pid=pid,
        instance=text_of(d, "instance"),
        version=text_of(d, "version"),
        folder=str(folder),
    )


def write_connection(state_dir: str | os.PathLike[str], connection: Connection) -> os.stat_result:
    """Writes the connection file atomically, readable by its owner only. Raises OSError.

    Returns the status of the written file from before it took its place: what lies there a moment later may
    be another's.
    """
    folder = Path(state_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = folder / f"{CONNECTION_FILE}.{os.getpid()}"
    name.unlink(missing_ok=True)  # left by a daemon that died with the same number of its process
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            values = {key: value for key, value in asdict(connection).items() if key != "folder"}
            json.dump({**FOR_OLDER, **values}, file)
            file.flush()
            os.fsync(file.fileno())
        written = os.stat(name)
        os.replace(name, folder / CONNECTION_FILE)
    except BaseException:
        name.unlink()
        raise
    return written


def host_config(folder: str | os.PathLike[str]) -> JsonObject:
    """The file that `velatura install` wrote beside a plugin's copy of this package: `serve` (the command
    that starts the daemon), `state_dir`, `version`. {} where the file is absent or damaged."""
    try:
        with open(Path(folder) / HOST_CONFIG, "rb") as file:
            value = json.loads(file.read(_MAX_FILE).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return as_object(value) or {}
