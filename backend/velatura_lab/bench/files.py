"""`velatura bench files`: an edit of a small selection of a large file, beside reading and writing that file.

Both are processes of their own, so that their CPU seconds and their peak memory are their own. The comparison
reads the file and writes it again by the same code. Beside them stands libpng with its usual settings.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from velatura.files.png_pixels import png
from velatura_protocol.errors import VelaturaError

GOAL = 1.3  #: the most CPU seconds, as a ratio to those of reading and writing the file
_BARE = """
import sys
from pathlib import Path
from velatura.files.reading import read_image
from velatura.files.png import encode
Path(sys.argv[2]).write_bytes(encode(read_image(Path(sys.argv[1]))))
"""
_EDIT = ["--method", "sdedit", "--prompt", "a hat", "--seed", "1", "--set", "steps=4"]
_STOP_S = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if the goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench files", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--side", type=int, default=8192, help="of the picture, in pixels (RGB, 16 bits)")
    parser.add_argument("--width", type=int, default=600, help="of the selection")
    parser.add_argument("--height", type=int, default=400, help="of the selection")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="velatura-bench-") as folder:
        figures = measure(Path(folder), chosen.side, (chosen.width, chosen.height))
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


def measure(folder: Path, side: int, selection: tuple[int, int]) -> dict[str, Any]:
    """All figures. Seconds are of CPU time, without those of the daemon.

    Args:
        folder: an empty one.
        side: of the picture.
        selection: its width and height.
    """
    picture, mask = folder / "in.png", folder / "mask.png"
    pixels = photograph(side)
    picture.write_bytes(png(pixels))
    began = time.process_time()
    usual = len(imagecodecs.png_encode(pixels))
    usual_seconds = time.process_time() - began
    selected = np.zeros((side, side, 1), np.uint8)
    (width, height), at = selection, side // 3
    selected[at : at + height, at : at + width] = 255
    mask.write_bytes(png(selected))
    (folder / "state").mkdir(mode=0o700)
    place = ["--state-dir", str(folder / "state")]
    environment = os.environ | {"VELATURA_STATE_DIR": str(folder / "state")}
    daemon = subprocess.Popen(
        [sys.executable, "-m", "velatura.daemon.serve"], env=environment, stdin=subprocess.DEVNULL
    )
    try:
        edit = [sys.executable, "-m", "velatura", "edit", str(picture), "--mask", str(mask), *_EDIT, *place]
        _run([*edit, "--out", str(folder / "first.png")])  # sends the pixels, once the daemon has started
        sent = _stored(folder)
        figures = {
            "bare": _run([sys.executable, "-c", _BARE, str(picture), str(folder / "bare.png")]),
            "png": _run([*edit, "--seed", "2", "--out", str(folder / "out.png")]),
        }
        figures["ora"] = _run([*edit, "--seed", "3", "--out", str(folder / "out.ora")])
    finally:
        daemon.terminate()
        daemon.wait(_STOP_S)
    return {
        "side": side,
        "selection": selection,
        "bytes": pixels.nbytes,
        "file_bytes": picture.stat().st_size,
        "runs": figures,
        "ratio": figures["png"]["seconds"] / figures["bare"]["seconds"],
        "memory_ratio": figures["png"]["peak_bytes"] / figures["bare"]["peak_bytes"],
        "spool_bytes": sum(sent),
        "whole_bytes": side * side * 8,  # with the alpha that a result needs
        "libpng": {"seconds": usual_seconds, "file_bytes": usual},
        "goal": GOAL,
    }


def photograph(side: int) -> np.ndarray:
    """A picture of soft colours with a camera's noise, uint16 [side, side, 3]."""
    rng = np.random.default_rng(0)
    ramp = np.sin(np.linspace(0.0, 9.0, side))
    made = np.empty((side, side, 3), np.uint16)
    for row in range(0, side, 64):
        rows = min(64, side - row)
        light = 30000.0 + 12000.0 * ramp[row : row + rows, None, None] * ramp[None, :, None]
        made[row : row + rows] = light + rng.normal(0.0, 120.0, (rows, side, 3))
    return made


def _run(command: Sequence[str]) -> dict[str, float]:
    """CPU seconds, elapsed seconds and peak memory of a process. Raises `internal` where it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            detail = told.read().decode("utf-8", "replace")[-1000:]
            raise VelaturaError("internal", "The command to be measured failed.", detail=detail)
    scale = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, getrusage(2)
    return {
        "seconds": usage.ru_utime + usage.ru_stime,
        "elapsed": time.perf_counter() - began,
        "peak_bytes": usage.ru_maxrss * scale,
    }


def _stored(folder: Path) -> list[int]:
    """The bytes of each blob that the daemon has received."""
    log = (folder / "state" / "daemon.log").read_text("utf-8")
    return [int(found) for found in re.findall(r"blob \S+ is stored: (\d+) bytes", log)]


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    (width, height), side = figures["selection"], figures["side"]
    names = {"bare": "read and written alone", "png": "edited, as PNG", "ora": "edited, as ORA"}
    lines = [
        f"{side} x {side}, RGB 16 bits, {figures['bytes'] / 1e6:.0f} MB, edited within {width} x {height}",
        *(
            f"  {names[name]:24} {run['seconds']:7.1f} s CPU  {run['peak_bytes'] / 1e6:7.0f} MB at most"
            for name, run in figures["runs"].items()
        ),
        f"  ratio                    {figures['ratio']:7.2f}   (goal: at most {figures['goal']:g};"
        f" memory {figures['memory_ratio']:.2f})",
        f"  sent and spooled         {figures['spool_bytes'] / 1e6:7.1f} MB"
        f"   (the whole layer: {figures['whole_bytes'] / 1e6:.0f} MB)",
        f"  the file                 {figures['file_bytes'] / 1e6:7.1f} MB"
        f"   (libpng as usual: {figures['libpng']['file_bytes'] / 1e6:.1f} MB,"
        f" {figures['libpng']['seconds']:.1f} s to write)",
    ]
    return "\n".join(lines)
