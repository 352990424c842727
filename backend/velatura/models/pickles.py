"""Reads the tensors of a checkpoint; one that was written by pickle in a process of its own.

A pickle can run code. torch's weights-only loader refuses that, and so does the reader of pickled networks
(`families/style_pickles.py`). Anything that they let through by a fault reaches only the process that reads,
which has no part of a person's work and ends after the file. The process may take a limited time and a
limited memory, since a small file can ask for large tensors, and it can open neither a file nor a connection
once it has its two files open.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from velatura.files.programs import program
from velatura.weights.json_files import parse_json
from velatura_protocol.errors import VelaturaError

from .families import style_pickles

LONGEST = 600  # seconds
ROOM = (
    8 * 1024**3
)  # bytes of addresses beside those of the file's own tensors, most of them torch's libraries
_ARGUMENTS = "argparse.Namespace"
_TRAINER = ("pytorch_lightning.", "lightning.", "lightning_fabric.", "omegaconf.", _ARGUMENTS)
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the start of torch's files before the zip format
_AVERAGED = ("g_ema", "G_ema")  # the weights of a generator that are used, beside those that were trained
_MEAN = "latent_avg"
_WORDS = "string_to_param"  # the table of vectors in textual inversions
_ABOUT = "about"
_TENSORFLOW = "dnnlib.tflib"


class Checkpoint(NamedTuple):
    """A checkpoint's content.

    Args:
        tensors: by their names.
        about: plain attributes of a pickled network's modules by the modules' names; else empty.
    """

    tensors: dict[str, Tensor]
    about: dict[str, Any]


def tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a checkpoint by their names. Raises as `read` does."""
    return read(path).tensors


def read(path: Path) -> Checkpoint:
    """The content of a checkpoint: of its 'state_dict' or averaged generator, if it has one.

    Raises VelaturaError `bad-request` where there is no such file, and `unknown-model` for one that cannot be
    read, or that asks for code to be run.
    """
    if not path.is_file():
        raise VelaturaError("bad-request", f"There is no file {path}; name the checkpoint that you have.")
    if path.suffix.lower() == ".safetensors":
        try:
            return Checkpoint(load_file(path), {})
        except (OSError, SafetensorError) as error:
            raise _unreadable(path, str(error)) from error
    with tempfile.TemporaryDirectory(prefix="velatura-") as temporary:
        out = Path(temporary, "weights.safetensors")
        try:
            done = subprocess.run(
                # -P: else a file torch.py in the person's folder would be taken for the library, and run
                program(__name__, str(path), str(out)),
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
            reason = done.stderr.strip()[-2000:]
        except subprocess.TimeoutExpired:
            reason = f"not done after {LONGEST} s"
        if out.is_file():
            with safe_open(out, "pt") as file:
                about = (file.metadata() or {}).get(_ABOUT, "{}")
            return Checkpoint(load_file(out), parse_json(about.encode()))
    raise _unreadable(path, reason)


def check_folder(folder: Path) -> None:
    """Raises VelaturaError `bad-request` for a folder with files, into which nothing is converted."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VelaturaError("bad-request", f"{folder} has files already; name a new folder.")


def _unreadable(path: Path, reason: str) -> VelaturaError:
    if _TENSORFLOW in reason:
        return VelaturaError(
            "unknown-model",
            f"The checkpoint {path} holds networks of TensorFlow; convert it with legacy.py of"
            " stylegan2-ada-pytorch, then convert the file which that writes.",
            detail=reason,
        )
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


def _read(file: BinaryIO) -> Checkpoint:
    start = file.read(len(_LEGACY))
    file.seek(0)
    if start[:1] == _LEGACY[:1] and start != _LEGACY:  # a pickle that torch has not written
        return Checkpoint(*style_pickles.read(file))
    needed = [_ARGUMENTS]  # of an older file torch cannot tell the names in advance
    if start != _LEGACY:
        needed = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        file.seek(0)
    inert: list[Any] = [(_Inert, name) for name in needed if name.startswith(_TRAINER)]
    with torch.serialization.safe_globals(inert):
        content = torch.load(file, map_location="cpu", weights_only=True)
    mean: object = None
    if isinstance(content, dict):
        mean = content.get(_MEAN)
        tables = (content.get(name) for name in (*_AVERAGED, "state_dict"))
        content = next((table for table in tables if isinstance(table, dict)), content)
    if not isinstance(content, dict):
        raise ValueError("it has no table of weights")
    words = content.get(_WORDS)
    if isinstance(words, dict):
        content = content | {f"{_WORDS}.{name}": value for name, value in words.items()}
    found = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return Checkpoint(found | ({_MEAN: mean} if isinstance(mean, Tensor) else {}), {})


def _limit(size: int) -> None:
    """Limits the memory of this process, for a file of this size in bytes; Windows has no such limit."""
    if sys.platform != "win32":
        import resource

        most = 3 * size + ROOM  # the file, its tensors, and their copies in the new file's order
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _close() -> None:
    """Lets this process open no more files and connections, nor start a program, which would have to open
    its libraries; Windows has no such limit."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _warm() -> None:
    """Reads a file of each form, so that all modules that reading needs are there."""
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"state_dict": {"x": torch.zeros(1)}}, file, _use_new_zipfile_serialization=zipped)
        file.seek(0)
        _write(_read(file), io.BytesIO())


def _write(found: Checkpoint, out: BinaryIO) -> None:
    tensors = {name: value.contiguous().clone() for name, value in found.tensors.items()}
    out.write(save(tensors, {_ABOUT: json.dumps(found.about)}))


def _main(source: Path, out: Path) -> None:
    _limit(source.stat().st_size)
    _warm()
    part = out.with_suffix(".part")
    with source.open("rb") as old, part.open("xb") as new:
        _close()
        _write(_read(old), new)
    part.replace(out)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
