"""Starting the daemon from a plugin or the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from .client import Client
from .errors import VelaturaError
from .paths import check_folder

LOG = "start.log"

_FLATPAK = "/.flatpak-info"
_OWN_PYTHON = ("PYTHONHOME", "PYTHONEXECUTABLE", "PYTHONSTARTUP")
_PATHS = ("LD_LIBRARY_PATH", "PYTHONPATH", "PATH", "QT_PLUGIN_PATH", "GI_TYPELIB_PATH", "XDG_DATA_DIRS")
_GRACE = 1.0  # seconds in which another daemon may answer after ours has ended


def start_daemon(command: list[str], state_dir: str | os.PathLike[str], timeout: float = 30.0) -> None:
    """Starts the daemon, detached from this process, and returns once it answers; at once if one answers.

    Args:
        command: such as `host_config(...)["serve"]`.
        state_dir: passed on as $VELATURA_STATE_DIR; the daemon's output goes to `start.log` in it.
        timeout: seconds.

    Raises `unavailable` with a sentence.
    """
    folder = Path(state_dir)
    if _silence(folder) is None:
        return  # a second one would end by itself, except if the first shuts down before it has looked
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(folder, folder.stat())
        log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = _spawn(command, folder, log)
        finally:
            os.close(log)
    except (OSError, ValueError, IndexError) as error:  # the latter two: an invalid command
        raise _unavailable("Velatura's daemon could not be started; install Velatura again.", error) from None
    try:
        _wait_until_it_answers(process, folder, timeout)
    finally:
        # Reaps the daemon when it ends, so that a long-lived host keeps no zombie process.
        threading.Thread(target=process.wait, name="velatura-daemon", daemon=True).start()


def _spawn(command: list[str], folder: Path, log: int) -> subprocess.Popen[bytes]:
    environment = {**clean_environment(os.environ), "VELATURA_STATE_DIR": str(folder)}
    if os.path.exists(_FLATPAK):  # the sandbox has neither the daemon's Python nor the device
        command = ["flatpak-spawn", "--host", f"--env=VELATURA_STATE_DIR={folder}", *command]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        cwd=folder,
        creationflags=flags,
        start_new_session=sys.platform != "win32",
    )


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without a host's settings for its own Python and, in an AppImage, for its own libraries."""
    cleaned = {key: value for key, value in environ.items() if key not in _OWN_PYTHON}
    image = environ.get("APPDIR")
    if image:
        for key in _PATHS:
            parts = [part for part in environ.get(key, "").split(os.pathsep) if part]
            kept = [part for part in parts if not part.startswith(image)]
            if kept:
                cleaned[key] = os.pathsep.join(kept)
            else:
                cleaned.pop(key, None)
    return cleaned


def _wait_until_it_answers(process: subprocess.Popen[bytes], folder: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        reason = _silence(folder)
        if reason is None:
            return
        if process.poll() is not None:
            deadline = min(deadline, time.monotonic() + _GRACE)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    if process.poll() is not None:
        message = "Velatura's daemon ended as soon as it was started; `velatura doctor` says what is wrong."
    else:
        message = "Velatura's daemon was started but does not answer; `velatura doctor` says what is wrong."
    raise _unavailable(message, f"{reason.message} {_last_words(folder)}")


def _silence(folder: Path) -> VelaturaError | None:
    """The reason why no daemon answers; None if one answers."""
    client = Client(folder, name="launch")
    try:
        client.connect(timeout=1.0)
    except VelaturaError as error:
        return error
    finally:
        client.close()
    return None


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / LOG).read_text("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return "\n".join(lines[-20:]).strip()


def _unavailable(message: str, detail: object) -> VelaturaError:
    return VelaturaError("unavailable", message, retryable=True, detail=str(detail))
