"""What can be set about a daemon: `settings.toml` in its state directory, all of it optional."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import tomllib

from velatura.weights.json_files import read_file
from velatura_protocol.errors import VelaturaError

CHUNK = 1024 * 1024
CREDIT = 4
TRANSPORTS = ("auto", "ipc", "tcp")
MAX_FILE = 64 * 1024
LARGEST = 10**15  # of any number: clients are told some of them, and all of them are added to others


@dataclass(frozen=True)
class Settings:
    """All times are in seconds.

    device: "auto", "cpu", "cuda:0" ...
    heartbeat: a client that has heard nothing for so long pings; one silent for three of them has vanished.
    cancel_grace: a worker that has not stopped by then is killed.
    idle_unload: after so much idleness the worker ends and gives all memory back.
    sweep: between two looks at what can be let go.
    waiting: unfinished jobs that one client may have.
    spool_budget: bytes of all blobs together. disk_reserve: bytes of the disk that are left free.
    prestart: start the worker with the daemon, not with the first job.
    transport: "ipc" (Unix sockets in the state directory), "tcp" (loopback), "auto": ipc where there is such.
    connections: that the daemon holds at a time.
    """

    device: str = "auto"
    heartbeat: float = 5.0
    cancel_grace: float = 10.0
    idle_unload: float = 600.0
    sweep: float = 60.0
    waiting: int = 256
    spool_budget: int = 32 * 1024**3
    disk_reserve: int = 64 * 1024**2
    prestart: bool = True
    transport: str = "auto"
    connections: int = 4096

    @property
    def waiting_in_all(self) -> int:
        """Unfinished jobs of all clients together."""
        return 4 * self.waiting


def load_settings(state_dir: Path, device: str = "") -> Settings:
    """The settings of a state directory; `device` wins over the file's if it is not empty.

    Raises `bad-request` with a sentence that names the entry that is wrong.
    """
    settings = Settings()
    path = state_dir / "settings.toml"
    if path.exists():
        try:
            values = tomllib.loads(read_file(path, MAX_FILE).decode("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            sentence = f"{path} is not TOML ({error}); mend or delete it."
            raise VelaturaError("bad-request", sentence) from None
        settings = replace(settings, **{key: _checked(path, key, value) for key, value in values.items()})
    return replace(settings, device=device) if device else settings


def _checked(path: Path, key: str, value: object) -> object:
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    if key not in kinds:
        raise VelaturaError("bad-request", f"{path} sets {key!r}, which is not known; remove it.")
    if kinds[key] is float and type(value) is int:
        value = float(value)
    if type(value) is not kinds[key] or (kinds[key] in (int, float) and not 0 < value <= LARGEST):
        wanted = {str: "a text", bool: "true or false"}.get(
            kinds[key], f"a number from 0 to {LARGEST}, not 0"
        )
        raise VelaturaError("bad-request", f"{path} sets {key!r} to {value!r:.40}; it has to be {wanted}.")
    if key == "transport" and value not in TRANSPORTS:
        raise VelaturaError(
            "bad-request", f"{path} sets 'transport' to {value!r:.40}; it has to be {', '.join(TRANSPORTS)}."
        )
    return value
