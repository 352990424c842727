"""The settings of a daemon: `settings.toml` in its state directory, every entry optional."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import tomllib

from velatura.weights.json_files import read_file
from velatura_protocol.errors import VelaturaError

CHUNK = 1024 * 1024
CREDIT = 4
TRANSPORTS = ("auto", "ipc", "tcp")
PLACEMENTS = (
    "auto",
    "whole",
    "encoders",
    "8-bit",
    "offload",
    "quantised",
)  # `velatura.models.placing`, which needs torch
# as `velatura.models.backends` has them
KERNELS = ("native", "cudnn", "flex", "flash", "flash-3", "sage", "xformers", "math")
CHOICES = {"transport": TRANSPORTS, "placement": PLACEMENTS, "attention": KERNELS}
MAX_FILE = 64 * 1024
LARGEST = 10**15  # of any number: some are sent to clients, and all are added to other numbers


@dataclass(frozen=True)
class Settings:
    """The settings of a daemon. All times are in seconds.

    Args:
        device: "auto", "cpu", "cuda:0" ...
        heartbeat: a client that has heard nothing for this time pings; one silent for three times as long has
            vanished.
        cancel_grace: a worker that has not stopped after this time is killed.
        idle_unload: after this idle time the worker ends and frees all its memory.
        sweep: time between two searches for jobs and blobs to delete.
        waiting: most unfinished jobs of one client.
        spool_budget: bytes of all blobs together.
        disk_reserve: bytes of the disk that stay free.
        prestart: start the worker with the daemon, not with the first job.
        transport: "ipc" (Unix sockets in the state directory), "tcp" (loopback), or "auto" (ipc where it
            works).
        connections: most connections at a time.
        placement: how a model's weights are made to fit into the device's memory: "whole", "encoders" (text
            encoders rest in the machine's memory), "8-bit", "offload" (all blocks rest there), "quantised"
            (the model's GGUF file, where there is one), or "auto" (the first that fits).
        attention: the kernels of attention: torch's own ("native", "cudnn", "flex", "math"), or those of an
            installed package ("flash", "flash-3", "sage", "xformers"). Pictures differ a little with each.
        find_models: look for the models of other programs at each start, so that clients can offer them.
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
    placement: str = "auto"
    attention: str = "native"
    find_models: bool = True

    @property
    def waiting_in_all(self) -> int:
        """Most unfinished jobs of all clients together."""
        return 4 * self.waiting


def load_settings(state_dir: Path, device: str = "") -> Settings:
    """The settings of a state directory; `device` overrides the file's unless it is empty.

    Raises `bad-request` with a sentence that names the wrong entry.
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


def _checked(path: Path, key: str, value: object) -> str | bool | int | float:
    kinds: dict[str, type] = {field.name: type(field.default) for field in fields(Settings)}
    if key not in kinds:
        raise VelaturaError("bad-request", f"{path} sets {key!r}, which is not known; remove it.")
    kind = kinds[key]
    if kind is float and type(value) is int:
        value = float(value)
    words: dict[type, str] = {str: "a text", bool: "true or false"}
    wanted = words.get(kind, f"a number from 0 to {LARGEST}, not 0")
    if isinstance(value, (str, bool, int, float)) and type(value) is kind:
        if value not in CHOICES.get(key, (value,)):
            wanted = ", ".join(CHOICES[key])
        elif isinstance(value, (str, bool)) or 0 < value <= LARGEST:
            return value
    raise VelaturaError("bad-request", f"{path} sets {key!r} to {value!r:.40}; it has to be {wanted}.")
