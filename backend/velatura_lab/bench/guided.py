"""`velatura bench guided`: concepts by dials, and Blended Latent Diffusion with ranking and reconstruction,
beside the published procedures, in one run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import torch

from velatura.weights.device import choose, name

from . import blended, concepts, shapes

PARTS = ("concepts", "blended")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if a goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench guided", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--part", choices=PARTS, help="measure this alone")
    parser.add_argument(
        "--shape",
        choices=shapes.Shaped.WHOLE,
        default=shapes.EMBEDDED,
        help="of the networks: the embedded model's, or another's with random weights",
    )
    parser.add_argument("--side", type=int, default=0, help="of the latents, else the network's own")
    parser.add_argument("--steps", type=int, default=25, help="steps of a run with concepts")
    parser.add_argument(
        "--repeat", type=int, default=5, help="runs of each kind with concepts; medians are printed"
    )
    parser.add_argument(
        "--variations", type=int, default=blended.VARIATIONS, help="of Blended Latent Diffusion"
    )
    parser.add_argument(
        "--published-steps", type=int, default=blended.STEPS, help="of the published blended procedure"
    )
    parser.add_argument("--fit-steps", type=int, default=blended.FITTED, help="of both reconstructions")
    parser.add_argument("--device", default=choose())
    chosen = parser.parse_args(argv)
    figures = measure(chosen)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """The figures of the chosen parts."""
    models = shapes.Shaped(chosen.shape, chosen.device, chosen.side)
    model = models.shaped()
    figures: dict[str, Any] = {
        "shape": chosen.shape,
        "device": name(model.device),
        "threads": torch.get_num_threads(),
        "parameters": sum(weight.numel() for weight in model.unet.parameters()),
    }
    if chosen.part in (None, "concepts"):
        made = concepts.Concepts.of(model, chosen.steps)
        figures["concepts"] = concepts.measure(made, chosen.repeat)
    if chosen.part in (None, "blended"):
        figures["blended"] = blended.measure(
            models, chosen.variations, chosen.published_steps, chosen.fit_steps
        )
    return figures


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines = [
        f"{figures['shape']}, {figures['parameters'] / 1e6:.1f} million weights; {figures['device']},"
        f" {figures['threads']} threads"
    ]
    for part, lines_of in (("concepts", concepts.report), ("blended", blended.report)):
        if part in figures:
            lines += ["", *lines_of(figures[part])]
    return "\n".join(lines)
