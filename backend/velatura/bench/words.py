"""`velatura bench words`: what an edit by words costs beside plain sampling, in one run."""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from velatura.attention.hold import held
from velatura.bench.explicit import explicit, rows_of
from velatura.diffusion import noise, schedule
from velatura.diffusion.denoiser import denoise
from velatura.inversion.ddim import direct
from velatura.inversion.trajectory import Trajectory, step
from velatura.models import catalogue
from velatura.models.model import Model
from velatura.models.store import ModelStore
from velatura.words.control import Control, Words, steps_within
from velatura.words.edit import Conditions, edit
from velatura.words.features import Features
from velatura.words.local import LocalBlend

GOALS = {"edit": 1.05, "second": 0.55}
"""At most: an edit of a new picture over plain sampling of as many rows; a layer's second edit over its
first."""
GUIDANCE = 5.0
_STATUS = Path("/proc/self/status")
SD15 = {
    "sample_size": 64,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
"""Stable Diffusion 1.5's denoising network. Random weights of its shape take as long as its own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures; gives 0 whether or not the goals are met."""
    parser = argparse.ArgumentParser(prog="velatura bench words", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--shape", choices=("embedded", "sd15"), default="embedded", help="of the network")
    parser.add_argument("--steps", type=int, default=10, help="steps of a run")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each kind; medians are printed")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--no-memory", action="store_true", help="leave out the peaks of memory, which take a process each"
    )
    chosen = parser.parse_args(argv)
    bench = Bench.make(chosen.shape, chosen.device, chosen.steps)
    figures = measure(bench, chosen.repeat)
    if not chosen.no_memory:
        figures["peak_mib"] = {
            kind: peak(kind, chosen.shape, chosen.device, chosen.steps)
            for kind in ("plain", "edit", "explicit")
        }
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


@dataclass(frozen=True)
class Bench:
    """A model and an edit for it. Conditions are random: what is told takes no time."""

    model: Model
    latents: Tensor  # [1, C, h, w], of variance 1
    conditions: Conditions
    control: Control
    local: LocalBlend
    sigmas: list[float]

    @staticmethod
    def make(shape: str, device: str, steps: int) -> Bench:
        entry = catalogue.entries(Path("/nonexistent"))[0]
        model = ModelStore([entry], device).get()
        if shape == "sd15":
            with torch.random.fork_rng(devices=[]), torch.device(device):
                torch.manual_seed(0)
                unet = UNet2DConditionModel(**SD15).to(model.dtype)
            model = replace(model, unet=unet)
        channels, side = model.unet.config.in_channels, model.unet.config.sample_size
        length = 77 if shape == "sd15" else model.prompt_tokens
        width = model.unet.config.cross_attention_dim
        drawn = noise.standard_normal([1, 2, 3], (length, width)).to(device).unsqueeze(1)
        sigmas = schedule.sigmas(model.training_sigmas, steps)
        n = len(sigmas) - 1
        weights = torch.ones(length)
        weights[3] = 2.0
        groups = torch.zeros(length, 2)
        groups[3, 0] = 1.0
        control = Control(
            A=torch.eye(length),
            alpha=(torch.arange(n) < steps_within(0.8, n)).float().unsqueeze(-1).expand(-1, length).clone(),
            weights=weights,
            self_steps=steps_within(0.4, n),
        )
        return Bench(
            model,
            noise.standard_normal([4], (channels, side, side)).to(device),
            Conditions(*drawn),
            control.to(torch.device(device)),
            LocalBlend(Words(groups, groups), 0.3, steps_within(0.2, n)),
            sigmas,
        )

    def plain(self) -> None:
        """Two pictures with guidance: as many rows as an edit of a new picture."""
        x = (self.latents * self.sigmas[0]).expand(2, -1, -1, -1)
        c = torch.cat([c.expand(2, -1, -1) for c in (self.conditions.negative, self.conditions.target)])
        for sigma, sigma_next in pairwise(self.sigmas):
            D_u, D_c = denoise(self.model, torch.cat([x, x]), sigma, c).chunk(2)
            x = step(x, D_u + GUIDANCE * (D_c - D_u), sigma, sigma_next)
        self.done(x)

    def edit(self) -> None:
        """A picture and its edit, both from noise."""
        x = self.latents * self.sigmas[0]
        self.along(Trajectory(list(self.sigmas), [x, *[None] * (len(self.sigmas) - 1)]), None)

    def explicit(self) -> None:
        """The same with maps that are built, without local blend."""
        x_s = x_t = self.latents * self.sigmas[0]
        told = self.conditions
        with held(self.model.unet):
            for i, (sigma, sigma_next) in enumerate(pairwise(self.sigmas)):
                x, c = rows_of(x_s, x_t, told.source, told.target, told.negative)
                attend = explicit(self.control, i, 1, tuple(x.shape[-2:]))
                D_s, D_su, D_tu, D_t = denoise(self.model, x, sigma, c, attend).chunk(4)
                x_s = step(x_s, D_su + GUIDANCE * (D_s - D_su), sigma, sigma_next)
                x_t = step(x_t, D_tu + GUIDANCE * (D_t - D_tu), sigma, sigma_next)
        self.done(x_t)

    def first(self) -> tuple[Trajectory, Features]:
        """A layer's first edit: inverted, then edited."""
        trajectory = direct(self.model, self.latents, self.conditions.source, list(self.sigmas))
        features = Features(1 << 40)
        self.along(trajectory, features)
        return trajectory, features

    def along(self, trajectory: Trajectory, features: Features | None) -> None:
        x = edit(
            self.model,
            trajectory,
            self.conditions,
            self.control,
            guidance=GUIDANCE,
            after_step=lambda _: None,
            local=self.local,
            features=features,
        )
        self.done(x)

    def done(self, x: Tensor) -> None:
        """Waits for the device."""
        float(x.sum())


@torch.inference_mode()
def measure(bench: Bench, repeat: int) -> dict:
    """Medians of seconds. The kinds take turns, so that whatever else the machine does falls on all alike."""
    kinds: dict[str, Callable[[], object]] = {
        "plain": bench.plain,
        "edit": bench.edit,
        "explicit": bench.explicit,
    }
    took: dict[str, list[float]] = {name: [] for name in (*kinds, "first", "second")}
    bench.plain()  # what is compiled and allocated once
    for _ in range(repeat):
        for name, run in kinds.items():
            took[name].append(_seconds(run)[0])
        seconds, (trajectory, features) = _seconds(bench.first)
        took["first"].append(seconds)
        took["second"].append(_seconds(lambda: bench.along(trajectory, features))[0])  # noqa: B023
    seconds = {name: statistics.median(values) for name, values in took.items()}
    with FlopCounterMode(display=False) as counter:
        bench.plain()
    rate, matrix = counter.get_total_flops() / seconds["plain"], matrix_rate(bench.model)
    return {
        "device": str(bench.model.device),
        "dtype": str(bench.model.dtype).removeprefix("torch."),
        "steps": len(bench.sigmas) - 1,
        "repeat": repeat,
        "seconds": seconds,
        "ratios": {
            "edit": seconds["edit"] / seconds["plain"],
            "second": seconds["second"] / seconds["first"],
            "explicit": seconds["explicit"] / seconds["edit"],
        },
        "features_mib": features.nbytes / 2**20,
        "tflops": rate / 1e12,
        "share_of_matrix_rate": rate / matrix,
        "goals": GOALS,
    }


def matrix_rate(model: Model, side: int = 4096, repeat: int = 5) -> float:
    """Operations a second of the device's best of some square matrix products."""
    a, b = (torch.randn(side, side, device=model.device, dtype=model.dtype) for _ in range(2))
    best = min(_seconds(lambda: float((a @ b)[0, 0]))[0] for _ in range(repeat))
    return 2.0 * side**3 / best


def peak(kind: str, shape: str, device: str, steps: int) -> float:
    """MiB that one run takes at most, beyond what the loaded model takes, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (kind, shape, device, steps))


@torch.inference_mode()
def _peak(kind: str, shape: str, device: str, steps: int) -> float:
    bench = Bench.make(shape, device, steps)
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        getattr(bench, kind)()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if not _STATUS.exists():
        return math.nan  # only Linux forgets a peak
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident memory is the present one again
    before = _kib("VmRSS")
    getattr(bench, kind)()
    return (_kib("VmHWM") - before) / 2**10


def _kib(name: str) -> int:
    """A figure of this process's memory as Linux tells it."""
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def _seconds(run: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def report(figures: dict) -> str:
    """The figures as a person reads them."""
    seconds, ratios = figures["seconds"], figures["ratios"]
    lines = [
        f"{figures['device']}, {figures['dtype']}, {figures['steps']} steps, medians of {figures['repeat']}",
        "",
        f"{'plain sampling, two pictures':42} {seconds['plain']:8.2f} s",
        f"{'a picture and its edit':42} {seconds['edit']:8.2f} s   {ratios['edit']:.3f} of plain"
        f" (goal {GOALS['edit']})",
        f"{'the same with maps that are built':42} {seconds['explicit']:8.2f} s   "
        f"{ratios['explicit']:.2f} of ours",
        f"{'first edit of a layer':42} {seconds['first']:8.2f} s",
        f"{'second edit of the layer':42} {seconds['second']:8.2f} s   {ratios['second']:.3f} of first"
        f" (goal {GOALS['second']})",
        "",
        f"kept of the layer: {figures['features_mib']:.0f} MiB",
        f"plain sampling: {figures['tflops']:.2f} TFLOP/s, {figures['share_of_matrix_rate']:.0%} of a matrix"
        " product's rate",
    ]
    if "peak_mib" in figures:
        peaks = ", ".join(f"{kind} {mib:.0f}" for kind, mib in figures["peak_mib"].items())
        lines.append(f"peak memory beyond the model, MiB: {peaks}")
    return "\n".join(lines)
