"""`velatura bench resample`: a large picture enlarged in bands, with the pass along its rows done once.

`Resized` does the pass along the rows once; the comparison does it again for each band, through `resize`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from velatura.canvas.resample import Resized, resize

GOAL = 1.0 / 3.0  #: the most time, as a share of that with the pass done for each band


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if the goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench resample", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--side", type=int, default=512, help="of the picture, in pixels")
    parser.add_argument("--width", type=int, default=3000, help="of the enlarged picture")
    parser.add_argument("--height", type=int, default=2000, help="of the enlarged picture")
    parser.add_argument("--band", type=int, default=88, help="rows of one band")
    parser.add_argument("--repeats", type=int, default=3, help="of each way, in turn")
    chosen = parser.parse_args(argv)
    figures = measure(chosen.side, (chosen.height, chosen.width), chosen.band, chosen.repeats)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


def measure(side: int, size: tuple[int, int], band: int, repeats: int) -> dict[str, Any]:
    """The median CPU seconds of both ways, their ratio, and whether their bytes are the same."""
    picture = np.random.default_rng(0).random((side, side, 4), dtype=np.float32)
    bands = [slice(start, start + band) for start in range(0, size[0], band)]

    def once() -> list[np.ndarray]:
        resized = Resized(picture, size)
        return [resized.rows(rows) for rows in bands]

    def each() -> list[np.ndarray]:
        return [resize(picture, size, rows=rows) for rows in bands]

    same = all(map(np.array_equal, once(), each()))
    turns = [(_seconds(once), _seconds(each)) for _ in range(repeats)]
    first, second = (statistics.median(column) for column in zip(*turns, strict=True))
    return {
        "side": side,
        "size": size,
        "bands": len(bands),
        "seconds": {"once": first, "for each band": second},
        "ratio": statistics.median(a / b for a, b in turns),
        "same_bytes": same,
        "goal": GOAL,
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def report(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    (height, width), seconds = figures["size"], figures["seconds"]
    return (
        f"{figures['side']} x {figures['side']} enlarged to {width} x {height} in {figures['bands']} bands: "
        f"{seconds['once']:.2f} s of CPU, {seconds['for each band']:.2f} s with the pass along the rows done "
        f"for each band; ratio {figures['ratio']:.2f} (goal: at most {figures['goal']:.2f}), "
        f"{'the same bytes' if figures['same_bytes'] else 'OTHER BYTES'}."
    )
