"""Reads the tensors of a checkpoint; one that was written by pickle in a process of its own.

A pickle can run code. torch's weights-only loader refuses that, and what it lets through by a fault reaches
only the process that reads, which has no part of a person's work and ends after the file. The process may
take a limited time and a limited memory, since a small file can ask for large tensors.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from velatura_protocol.errors import VelaturaError

LONGEST = 600  # seconds
ROOM = (
    8 * 1024**3
)  # bytes of addresses beside those of the file's own tensors, most of them torch's libraries
_TRAINER = ("pytorch_lightning.", "lightning.", "lightning_fabric.", "omegaconf.")


def tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a checkpoint by their names, those of its 'state_dict' if it has one.

    Raises VelaturaError `bad-request` where there is no such file, and `unknown-model` for one that cannot be
    read, or that asks for code to be run.
    """
    if not path.is_file():
        raise VelaturaError("bad-request", f"There is no file {path}; name the checkpoint that you have.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise _unreadable(path, str(error)) from error
    with tempfile.TemporaryDirectory(prefix="velatura-") as temporary:
        out = Path(temporary, "weights.safetensors")
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__, str(path), str(out)],
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
            reason = done.stderr.strip()[-2000:]
        except subprocess.TimeoutExpired:
            reason = f"not done after {LONGEST} s"
        if out.is_file():
            return load_file(out)
    raise _unreadable(path, reason)


def check_folder(folder: Path) -> None:
    """Raises VelaturaError `bad-request` for a folder with files, into which nothing is converted."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VelaturaError("bad-request", f"{folder} has files already; name a new folder.")


def _unreadable(path: Path, reason: str) -> VelaturaError:
    return VelaturaError(
        "unknown-model",
        f"The checkpoint {path} cannot be read as weights alone; fetch it again from its authors.",
        detail=reason,
    )


class _Inert:
    """Takes the place of a trainer's objects beside the weights: it keeps nothing and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _read(path: Path) -> dict[str, Tensor]:
    needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    inert: list[Any] = [(_Inert, name) for name in needed if name.startswith(_TRAINER)]
    with torch.serialization.safe_globals(inert):
        content = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise ValueError("it has no table of weights")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _limit(size: int) -> None:
    """Limits the memory of this process, for a file of this size in bytes; Windows has no such limit."""
    if sys.platform != "win32":
        import resource

        most = 3 * size + ROOM  # the file, its tensors, and their copies in the new file's order
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _main(source: Path, out: Path) -> None:
    _limit(source.stat().st_size)
    part = out.with_suffix(".part")
    save_file({name: value.contiguous().clone() for name, value in _read(source).items()}, part)
    part.replace(out)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
