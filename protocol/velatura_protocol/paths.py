"""Where the daemon is found: state directory, connection file, what `velatura install` leaves in a plugin."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import VelaturaError

CONNECTION_FILE = "connection.json"
HOST_CONFIG = "velatura.json"
_MAX_FILE = 64 * 1024


@dataclass(frozen=True)
class Connection:
    """The connection file of SPEC section 1. `token` is a secret: it is left out of the representation."""

    protocol: str
    host: str
    control_port: int
    blob_port: int
    token: str
    pid: int
    instance: str
    version: str

    def __repr__(self) -> str:
        ports = f"{self.control_port}, {self.blob_port}"
        return f"Connection({self.host}, {ports}, pid {self.pid}, {self.version})"


def state_dir(
    override: str | os.PathLike | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    platform: str | None = None,
) -> Path:
    """The daemon's directory: `override`, else $VELATURA_STATE_DIR, else the platform's place (SPEC 1).

    $XDG_STATE_HOME is not asked: inside a Flatpak it names another directory than outside, and plugin and
    daemon have to agree. environ and platform stand for `os.environ` and `sys.platform`.
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


def read_connection(state_dir: str | os.PathLike) -> Connection:
    """The connection file. Raises `not-running` if there is none or it is half a file, `unavailable` if it is
    not the person's own or others may read it."""
    path = Path(state_dir) / CONNECTION_FILE
    try:
        with open(path, "rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            text = file.read(_MAX_FILE)
    except PermissionError as error:
        raise _not_private(path, str(error)) from None
    except OSError as error:
        raise _not_running(str(error)) from None
    try:
        return _connection(json.loads(text.decode("utf-8")))
    except (ValueError, RecursionError) as error:
        raise _not_running(f"{path}: {error}") from None


def _check_private(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":  # elsewhere the profile's folder is the person's own, and modes say nothing
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


def _connection(d: object) -> Connection:
    if not isinstance(d, dict):
        raise ValueError("not an object")
    texts = {key: d.get(key) for key in ("host", "token", "instance", "version", "protocol")}
    numbers = {key: d.get(key) for key in ("control_port", "blob_port", "pid")}
    if not all(isinstance(value, str) for value in texts.values()):
        raise ValueError("a text is missing")
    if not all(type(value) is int and value > 0 for value in numbers.values()):
        raise ValueError("a number is missing")
    if max(numbers["control_port"], numbers["blob_port"]) > 65535:
        raise ValueError("no port")
    if not (texts["host"].startswith("127.") or texts["host"] in ("localhost", "::1")):
        raise ValueError("the host is not this machine")  # the token never leaves it
    return Connection(**texts, **numbers)


def write_connection(state_dir: str | os.PathLike, connection: Connection) -> None:
    """Writes the connection file whole, or not at all, readable by its owner only. Raises OSError."""
    folder = Path(state_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = folder / f"{CONNECTION_FILE}.{os.getpid()}"
    name.unlink(missing_ok=True)  # of a daemon that died here, under the same number
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(connection), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, folder / CONNECTION_FILE)
    except BaseException:
        name.unlink()
        raise


def host_config(folder: str | os.PathLike) -> dict:
    """What `velatura install` wrote beside a plugin's copy of this package: `serve` (the command that starts
    the daemon), `state_dir`, `version`. Empty where the file is absent or damaged."""
    try:
        with open(Path(folder) / HOST_CONFIG, "rb") as file:
            value = json.loads(file.read(_MAX_FILE).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
