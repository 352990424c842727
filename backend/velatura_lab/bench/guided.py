"""`velatura bench guided`: edits by guidance beside the published procedures, in one run."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from typing import Any

import torch

from velatura.weights.device import choose

from . import concepts, shapes
from .observe import peak, seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if a goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench guided", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--side", type=int, default=0, help="of the latents, else the network's own")
    parser.add_argument("--steps", type=int, default=25, help="steps of a run")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each kind; medians are printed")
    parser.add_argument("--device", default=choose())
    chosen = parser.parse_args(argv)
    model = shapes.model(shapes.EMBEDDED, chosen.device, None)
    figures = measure(concepts.Concepts.of(model, chosen.steps, chosen.side), chosen.repeat)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


@torch.inference_mode()
def measure(made: concepts.Concepts, repeat: int) -> dict[str, Any]:
    """The medians. The runs take turns, so that other work on the machine slows all alike."""
    kinds = concepts.runs(made)
    peaks = {name: peak(run, made.model.device) / 2**20 for name, run in kinds.items()}  # warms up too
    clock: dict[str, list[float]] = {name: [] for name in kinds}
    processors: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeat):
        for name, run in kinds.items():
            by_clock, on_processors, _result = seconds(run)
            clock[name].append(by_clock)
            processors[name].append(on_processors)
    took = {name: statistics.median(values) for name, values in clock.items()}
    worked = {name: statistics.median(values) for name, values in processors.items()}
    return {
        **concepts.described(made),
        "repeat": repeat,
        "seconds": took,
        "processor_seconds": worked,
        "ratios": concepts.ratios(took),
        "processor_ratios": concepts.ratios(worked),
        "peak_mib": peaks,
        "goals": concepts.GOALS,
    }


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    channels, height, width = figures["latents"]
    peaks = ", ".join(f"{kind} {mib:.1f}" for kind, mib in figures["peak_mib"].items())
    return "\n".join(
        [
            f"{figures['device']}, {figures['threads']} threads; latents {channels} x {height} x {width},"
            f" {figures['steps']} steps, medians of {figures['repeat']}",
            "",
            *concepts.report(figures["seconds"], figures["ratios"], figures["goals"]),
            "",
            f"most memory of tensors beyond the model, MiB: {peaks}",
        ]
    )
