"""`velatura bench flow`: an edit by a flow beside plain sampling, and a moved dial beside its first run."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from velatura.cache.cache import Cache
from velatura.diffusion import noise, samplers, schedule
from velatura.diffusion.denoiser import denoise
from velatura.flow import edit, even
from velatura.flow.source import kept
from velatura.models.families.sd import StableDiffusion
from velatura.weights.device import choose

from . import shapes
from .observe import peak, seconds

GOALS = {"moved": 0.6}
"""The most that a moved dial may take, as a share of the first run with it."""
CAPTION, WANTED, OTHER = "a photo of a man with short hair", "a photo of a man with long hair", "a photo"
START, DRAFT, _BUDGET = 0.9, 8, 2**32
PROBED = 6  # number of strengths; most pictures break before the last ones


@dataclass
class Edits:
    """The runs of one layer on one model. latents: [1, C, h, w]."""

    model: StableDiffusion
    steps: int
    latents: Tensor

    @staticmethod
    def of(model: StableDiffusion, steps: int, side: int = 0) -> Edits:
        """The runs of random latents. side: of the latents; 0 for the network's own."""
        side = side or model.latent_size
        (z0,) = noise.standard_normal([0], (model.latent_channels, side, side)).split(1)
        return Edits(model, steps, z0.to(model.device))

    def plain(self) -> None:
        """Sampling of three pictures, which have as many rows as an edit with one dial."""
        sigmas = self._levels(self.steps)
        c = self.model.encode_prompt(CAPTION).expand(3)
        x = self.latents.expand(3, -1, -1, -1) * sigmas[0]
        samplers.euler(
            lambda x, sigma, at=None: denoise(self.model, x, sigma, c), x, sigmas, lambda x, step: x
        )

    def slide(self, cache: Cache, *strengths: float, steps: int = 0) -> Tensor:
        """An edit with one dial, or with two."""
        ways = [(CAPTION, WANTED), (CAPTION, OTHER)]
        dials = [edit.Dial(*way, strength) for way, strength in zip(ways, strengths, strict=False)]
        given = (self.latents, CAPTION, self._levels(steps or self.steps), [0])
        with kept(cache, self.model, *given) as source:
            return edit.edit(self.model, source, edit.Pulls(dials, CAPTION, focused=True), lambda step: None)

    def probe(self) -> None:
        """The probes of an even dial before its first use, without decoding."""
        cache = Cache(memory=_BUDGET)
        for strength in even.PROBES[:PROBED]:
            even.readings(self.model, self.slide(cache, strength, steps=DRAFT), CAPTION, WANTED, 0)

    def _levels(self, steps: int) -> list[float]:
        return schedule.levels(self.model.training_sigmas, steps, START)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if a goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench flow", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--side", type=int, default=0, help="of the latents, else the network's own")
    parser.add_argument("--steps", type=int, default=16, help="steps of a run")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each kind; medians are printed")
    parser.add_argument("--device", default=choose())
    chosen = parser.parse_args(argv)
    model = shapes.model(shapes.EMBEDDED, chosen.device, None)
    figures = measure(Edits.of(model, chosen.steps, chosen.side), chosen.repeat)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


@torch.inference_mode()
def measure(edits: Edits, repeat: int) -> dict[str, Any]:
    """The medians. The kinds take turns, so that other work on the machine slows all alike."""
    state: dict[str, Cache] = {}

    def first() -> object:
        state["cache"] = Cache(memory=_BUDGET)
        return edits.slide(state["cache"], 2.0)

    kinds: dict[str, Callable[[], object]] = {
        "plain": edits.plain,
        "first": first,
        "moved": lambda: edits.slide(state["cache"], 1.0),
        "two": lambda: edits.slide(state["cache"], 1.0, 1.0),
        "draft": lambda: edits.slide(Cache(), 1.0, steps=DRAFT),
        "probe": edits.probe,
    }
    peaks = {name: peak(run, edits.model.device) / 2**20 for name, run in kinds.items()}  # warms up too
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeat):
        for name, run in kinds.items():
            took[name].append(seconds(run)[0])
    median = {name: statistics.median(values) for name, values in took.items()}
    return {
        "device": str(edits.model.device),
        "threads": torch.get_num_threads(),
        "steps": edits.steps,
        "repeat": repeat,
        "latents": list(edits.latents.shape[1:]),
        "seconds": median,
        "ratios": {
            "first": median["first"] / median["plain"],
            "moved": median["moved"] / median["first"],
            "moved_even": median["moved"] / (median["first"] + median["probe"]),
            "two": median["two"] / median["moved"],
        },
        "peak_mib": peaks,
        "kept_mib": state["cache"].nbytes / 2**20,
        "goals": GOALS,
    }


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    took, ratios = figures["seconds"], figures["ratios"]
    channels, height, width = figures["latents"]

    def line(title: str, kind: str, ratio: str = "") -> str:
        return f"{title:44} {took[kind]:8.2f} s   {ratio}"

    peaks = ", ".join(f"{kind} {mib:.1f}" for kind, mib in figures["peak_mib"].items())
    moved = f"{ratios['moved']:.3f} of the first (goal: at most {GOALS['moved']}),"
    return "\n".join(
        [
            f"{figures['device']}, {figures['threads']} threads; latents {channels} x {height} x {width},"
            f" {figures['steps']} steps, medians of {figures['repeat']}",
            "",
            line("plain sampling, three pictures", "plain"),
            line("first run with a dial", "first", f"{ratios['first']:.3f} of plain"),
            line(
                "the dial moved", "moved", f"{moved} {ratios['moved_even']:.3f} of a first run that probes it"
            ),
            line("a second dial beside it", "two", f"{ratios['two']:.3f} of one"),
            line(f"a draft of {DRAFT} steps of a new layer", "draft"),
            line("the probes of an even dial", "probe"),
            "",
            f"kept of the layer: {figures['kept_mib']:.2f} MiB",
            f"most memory of tensors beyond the model, MiB: {peaks}",
        ]
    )
