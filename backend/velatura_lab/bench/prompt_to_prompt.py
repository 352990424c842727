"""`velatura bench words`: the cost of an edit by words beside plain sampling, in one run."""

from __future__ import annotations

import argparse
import functools
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch

from velatura.weights import device

from . import shapes
from .edits import FIRST, ROWS, SECOND, Counted, Edits
from .observe import T, matrix_rate, operations, peak, seconds

GOALS = {"edit": 1.05, "second": 0.55}
"""The most that an edit of a new picture may take, as a share of plain sampling of as many rows; and a
layer's second edit, as a share of its first."""
DTYPES = ("float32", "bfloat16", "float16")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if a goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench words", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--shape",
        choices=(shapes.EMBEDDED, *shapes.SHAPES),
        default=shapes.EMBEDDED,
        help="of the network: the embedded model's, or another's with random weights",
    )
    parser.add_argument("--side", type=int, default=0, help="of the latents, else the network's own")
    parser.add_argument("--steps", type=int, default=10, help="steps of a run")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each kind; medians are printed")
    parser.add_argument("--device", default=device.choose())
    parser.add_argument("--dtype", choices=DTYPES, help="of the network; by default the device's usual one")
    chosen = parser.parse_args(argv)
    dtype = None if chosen.dtype is None else getattr(torch, chosen.dtype)
    model = shapes.model(chosen.shape, chosen.device, dtype)
    edits = Edits.of(
        model,
        shapes.tokens(chosen.shape, model),
        chosen.steps,
        chosen.side,
        shapes.width(chosen.shape, model),
    )
    figures = {"shape": chosen.shape} | measure(edits, chosen.repeat)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


@torch.inference_mode()
def measure(edits: Edits, repeat: int) -> dict[str, Any]:
    """The medians. The kinds take turns, so that other work on the machine slows all alike."""
    model = edits.model
    kinds: dict[str, Callable[[], object]] = {
        "plain": edits.plain,
        "edit": edits.edit,
        "explicit": edits.explicit,
    }
    passes = {_rows(n): functools.partial(edits.passes, n) for n in sorted((*FIRST, SECOND))}
    # these runs also warm up, so that no time contains compilation or first allocations
    peaks = {name: peak(run, model.device) / 2**20 for name, run in kinds.items()}
    counted = operations(edits.plain)
    for run in passes.values():
        run()
    clock: dict[str, list[float]] = {name: [] for name in (*kinds, "first", "second", *passes)}
    processors: dict[str, list[float]] = {name: [] for name in clock}

    def timed(name: str, run: Callable[[], T]) -> T:
        by_clock, on_processors, result = seconds(run)
        clock[name].append(by_clock)
        processors[name].append(on_processors)
        return result

    recorded: list[Counted] = []
    for _ in range(repeat):
        for name, run in (kinds | passes).items():
            timed(name, run)
        trajectory, features = timed("first", edits.first)
        timed("second", functools.partial(edits.along, trajectory, features))
        recorded[:] = [features]
    took = {name: statistics.median(values) for name, values in clock.items()}
    worked = {name: statistics.median(values) for name, values in processors.items()}
    (features,), rate = recorded, counted / took["plain"]
    return {
        "device": device.name(model.device),
        "threads": torch.get_num_threads(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "parameters": sum(weight.numel() for weight in model.networks["unet"].parameters()),
        "latents": list(edits.latents.shape[1:]),
        "tokens": edits.conditions.target.states.shape[1],
        "rows": ROWS,
        "steps": len(edits.sigmas) - 1,
        "repeat": repeat,
        "seconds": took,
        "processor_seconds": worked,
        "ratios": _ratios(took),
        "processor_ratios": _ratios(worked),
        "features": {
            "needed_mib": features.needed / 2**20,
            "kept_mib": features.nbytes / 2**20,
            "limit_mib": features.limit / 2**20,
            "kept_steps": len(features.had),
        },
        "peak_mib": peaks,
        "tflops": rate / 1e12,
        "share_of_matrix_rate": rate / matrix_rate(model.device, model.dtype),
        "goals": GOALS,
    }


def _ratios(took: dict[str, float]) -> dict[str, float]:
    return {
        "edit": took["edit"] / took["plain"],
        "explicit": took["explicit"] / took["edit"],
        "second": took["second"] / took["first"],
        "rows": took[_rows(SECOND)] / sum(took[_rows(n)] for n in FIRST),
    }


def _rows(n: int) -> str:
    """The name of the passes on so many rows."""
    return f"{n} row" if n == 1 else f"{n} rows"


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    took, ratios, others = figures["seconds"], figures["ratios"], figures["processor_ratios"]
    channels, height, width = figures["latents"]

    def line(title: str, kind: str, of: str = "", goal: str = "") -> str:
        ratio = f"   {ratios[kind]:6.3f} {others[kind]:6.3f} {of}{goal}" if of else ""
        return f"{title:38} {took[kind]:8.2f} s{ratio}"

    peaks = ", ".join(f"{kind} {mib:.1f}" for kind, mib in figures["peak_mib"].items())
    return "\n".join(
        [
            f"{figures['shape']}, {figures['parameters'] / 1e6:.1f} million weights, {figures['dtype']};"
            f" {figures['device']}, {figures['threads']} threads",
            f"latents {channels} x {height} x {width}, {figures['tokens']} tokens, {figures['rows']} rows,"
            f" {figures['steps']} steps, medians of {figures['repeat']}",
            "",
            f"{'':50}   ratios, by the clock and of processors' time",
            line("plain sampling, two pictures", "plain"),
            line("a picture and its edit", "edit", "of plain", f" (goal: at most {GOALS['edit']})"),
            line("the same edit with maps that are built", "explicit", "of ours"),
            line("first edit of a layer", "first"),
            line("second edit of the layer", "second", "of first", f" (goal: at most {GOALS['second']})"),
            "",
            *_of_the_second(figures),
            f"most memory of tensors beyond the model, MiB: {peaks}",
            f"plain sampling: {figures['tflops']:.2f} TFLOP/s, {figures['share_of_matrix_rate']:.0%} of a"
            " matrix product's rate",
        ]
    )


def _of_the_second(figures: dict[str, Any]) -> list[str]:
    """The lines on the cached features and saved rows, which determine the time of a second edit."""
    features, steps = figures["features"], figures["steps"]
    needed, kept, limit = (features[f"{name}_mib"] for name in ("needed", "kept", "limit"))
    by_clock, on_processors = (figures[name]["rows"] for name in ("ratios", "processor_ratios"))
    passes = ", ".join(
        f"{name} {took / steps:.3f} s" for name, took in figures["seconds"].items() if "row" in name
    )
    again = "in the others the second edit runs the source again, as in the daemon"
    return [
        f"features of an edit: {needed:.1f} MiB, of which {kept:.1f} are kept (the daemon keeps at most"
        f" {limit:.0f}), for {features['kept_steps']} of {steps} steps",
        *([again] if features["kept_steps"] < steps else []),
        f"a pass of the network alone: {passes}",
        f"by these rows alone, with all features kept, second of first: {by_clock:.3f} {on_processors:.3f}",
    ]
