"""`velatura bench models`: the families of models at real widths, ours beside diffusers' own pipelines."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from velatura.cache.cache import Cache
from velatura.diffusion import blending, noise, samplers, schedule
from velatura.diffusion.denoiser import guided
from velatura.flow.edit import Dial, Pulls
from velatura.flow.edit import edit as flow_edit
from velatura.flow.source import kept
from velatura.inversion.trajectory import Trajectory
from velatura.methods.prompt_to_prompt import PromptToPromptParameters
from velatura.models.latent import LatentModel
from velatura.models.recognition import FAMILIES
from velatura.prompt_to_prompt.edit import Conditions
from velatura.prompt_to_prompt.edit import edit as word_edit
from velatura.weights import device, dtypes

from . import pipelines, rungs
from .edits import swap
from .networks import CAPTION, NEGATIVE, SHAPES, WANTED, Shape, Size
from .observe import matrix_rate, operations, peak, seconds

GOALS = {"ours": 1.0, "words": 1.05, "passes": 3.0}
"""The most that plain sampling of ours may take, as a share of diffusers'; an edit by words, as a share of
sampling two pictures; and the rows that a step of FlowAlign may compute."""
ALL, START = "all", 0.9
_SMALL = {"depth": 1, "size": 128}  # on a processor
_DTYPES = ("float32", "bfloat16", "float16")


@dataclass
class Runs:
    """The runs of one model.

    Args:
        shape: of the model.
        model: for pictures of this size.
        n: noise [1, C, h, w].
        steps: of a run.
        guidance: the scale of classifier-free guidance; 1: one pass.
    """

    shape: Shape
    model: LatentModel
    n: Tensor
    steps: int
    guidance: float

    @staticmethod
    def of(shape: Shape, model: LatentModel, pixels: int, steps: int) -> Runs:
        """The runs of random latents of pictures of this side, in pixels."""
        side = pixels // model.factor
        n = noise.standard_normal([1], (model.latent_channels, side, side)).to(model.device)
        return Runs(shape, model, n, steps, shape.guidance)

    @property
    def sigmas(self) -> list[float]:
        """The levels of a run from noise."""
        return schedule.sigmas(self.model.training_sigmas, self.steps)

    def plain(self, pictures: int = 1, after_step: samplers.AfterStep = lambda x, _: x) -> Tensor:
        """Sampling of so many pictures without an edit, [pictures, C, h, w]."""
        sigmas = self.sigmas
        x = self._start(sigmas[0]).expand(pictures, -1, -1, -1)
        return samplers.euler(guided(self.model, CAPTION, NEGATIVE, self.guidance), x, sigmas, after_step)

    def blended(self) -> Tensor:
        """Sampling inside a selection of half the picture."""
        m = torch.zeros_like(self.n[:, :1])
        m[..., m.shape[-1] // 2 :] = 1.0
        return self.plain(1, lambda x, step: blending.blend(x, step.sigma_next * self.n, m))

    def words(self) -> Tensor:
        """A picture and its edit by a swapped word with local blend, both from noise."""
        sigmas, conditions = self.sigmas, [self.model.encode_prompt(p) for p in (CAPTION, WANTED, NEGATIVE)]
        control, local = swap(conditions[0].states.shape[1], self.steps, self._settings)
        return word_edit(
            self.model,
            Trajectory(sigmas, [self._start(sigmas[0])]),
            Conditions(*conditions),
            control,
            guidance=self.guidance,
            after_step=lambda _: None,
            local=local,
        )

    def align(self) -> Tensor:
        """FlowAlign of a new layer."""
        return self._flow(1.0, focused=False)

    def slide(self) -> Tensor:
        """FlowSlider's dial, on a new layer, which stays where it pulls."""
        return self._flow(2.0, focused=True)

    def decode(self) -> Tensor:
        """The picture of the latents."""
        return self.model.decode(self.n)

    def _flow(self, strength: float, *, focused: bool) -> Tensor:
        levels = schedule.levels(self.model.training_sigmas, self.steps, START)
        pulls = Pulls([Dial(CAPTION, WANTED, strength)], CAPTION, focused=focused)
        with kept(Cache(), self.model, self.n, CAPTION, levels, [0]) as source:
            return flow_edit(self.model, source, pulls, lambda step: None)

    @property
    def _settings(self) -> PromptToPromptParameters:
        known = PromptToPromptParameters.model_fields
        defaults = FAMILIES[self.shape.family].defaults(())
        return PromptToPromptParameters.model_validate({k: v for k, v in defaults.items() if k in known})

    def _start(self, sigma: float) -> Tensor:
        """Pure noise at the first level, of unit variance where the network sees it."""
        flow = self.model.prediction == "flow"
        return self.n * (1.0 + sigma if flow else sigma)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if a goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench models", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--family", choices=(ALL, *SHAPES), default=ALL, help="the network to measure")
    small = "; by default {} on a processor, and {} on a GPU"
    parser.add_argument(
        "--depth", type=int, help=f"blocks of each kind{small.format(_SMALL['depth'], 'all')}"
    )
    parser.add_argument(
        "--size",
        type=int,
        help=f"side of the pictures in pixels{small.format(_SMALL['size'], 'the family’s own')}",
    )
    parser.add_argument("--steps", type=int, default=2, help="steps of a run")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each kind; medians are printed")
    parser.add_argument("--narrow", action="store_true", help="tiny widths, to try the command")
    parser.add_argument("--device", default=device.choose())
    parser.add_argument("--dtype", choices=_DTYPES, help="of the networks; by default the device's usual one")
    chosen = parser.parse_args(argv)
    all_figures: list[dict[str, Any]] = []
    for name in SHAPES if chosen.family == ALL else (chosen.family,):
        all_figures.append(figures(SHAPES[name], chosen))
        if not chosen.json:
            print(report(all_figures[-1]), end="\n\n", flush=True)
    if chosen.json:
        print(json.dumps(all_figures, indent=2))
    return 0


def figures(shape: Shape, chosen: argparse.Namespace) -> dict[str, Any]:
    """The figures of one family, by the options of the command."""
    where = torch.device(chosen.device)
    is_small = where.type == "cpu"
    size = Size(
        min(shape.depth, chosen.depth or (_SMALL["depth"] if is_small else shape.depth)),
        chosen.size or (_SMALL["size"] if is_small else shape.pixels),
        chosen.steps,
        chosen.narrow,
    )
    dtype = _dtype(shape, where, chosen.dtype)
    measured = measure(Runs.of(shape, shape.made(size, where, dtype), size.pixels, size.steps), chosen.repeat)
    memory = {"counted": rungs.counted(shape, Size(shape.depth, shape.pixels, size.steps, size.narrow))}
    if not is_small:
        memory["measured"] = rungs.measured(shape, size, where, dtype)
    return {
        "family": shape.title,
        "depth": size.depth,
        "of_depth": shape.depth,
        "narrow": size.narrow,
        **measured,
        "rungs_mib": {kind: {rung: n / 2**20 for rung, n in of.items()} for kind, of in memory.items()},
        "goals": GOALS,
    }


def _dtype(shape: Shape, where: torch.device, wanted: str | None) -> torch.dtype:
    if wanted is not None:
        return getattr(torch, wanted)
    return dtypes.chosen(where, transformer=shape.family not in ("sd", "sdxl"))


@torch.inference_mode()
def measure(runs: Runs, repeat: int) -> dict[str, Any]:
    """The medians. The kinds take turns, so that other work on the machine slows all alike."""
    model = runs.model
    kinds: dict[str, Callable[[], Tensor]] = {
        "diffusers": pipelines.sampling(runs.shape, model, runs.n, runs.steps),
        "ours": runs.plain,
        "two": lambda: runs.plain(2),
        "words": runs.words,
        "align": runs.align,
        "slide": runs.slide,
        "blended": runs.blended,
    }
    rows, peaks = dict[str, float](), dict[str, float]()
    for name, run in kinds.items():  # these runs also warm up
        with counting_rows(model) as counted:
            peaks[name] = peak(run, model.device) / 2**20
        rows[name] = sum(counted) / runs.steps
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeat):
        for name, run in kinds.items():
            took[name].append(seconds(lambda run=run: float(run().sum()))[0])
    median = {name: statistics.median(values) for name, values in took.items()}
    rate = operations(runs.plain) / median["ours"]
    a_row = median["ours"] / rows["ours"]
    return {
        "device": device.name(model.device),
        "threads": torch.get_num_threads(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "parameters": sum(weight.numel() for weight in model.networks[model.denoiser].parameters()),
        "latents": list(runs.n.shape[1:]),
        "tokens": runs.shape.tokens,
        "guidance": runs.guidance,
        "steps": runs.steps,
        "repeat": repeat,
        "seconds": median,
        "rows": rows,
        "ratios": {
            "ours": median["ours"] / median["diffusers"],
            "words": median["words"] / median["two"],
            **{name: median[name] / (a_row * rows[name]) for name in ("align", "slide", "blended")},
        },
        "peak_mib": peaks,
        "tflops": rate / 1e12,
        "share_of_matrix_rate": rate / matrix_rate(model.device, model.dtype),
    }


@contextmanager
def counting_rows(model: LatentModel) -> Generator[list[int], None, None]:
    """The rows of each pass of the denoising network in the context."""
    rows: list[int] = []

    def count(_: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rows.append(len(args[0] if args else kwargs["hidden_states"]))

    hook = model.networks[model.denoiser].register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield rows
    finally:
        hook.remove()


def report(found: dict[str, Any]) -> str:
    """The figures of one family as text."""
    took, ratios, rows, goals = found["seconds"], found["ratios"], found["rows"], found["goals"]
    channels, height, width = found["latents"]

    def line(title: str, kind: str, of: str = "") -> str:
        ratio = f"{ratios[kind]:6.3f} {of}" if of else ""
        return f"{title:44} {took[kind]:8.2f} s {rows[kind]:5.1f}   {ratio}".rstrip()

    a_row = "of plain sampling's time a row"
    return "\n".join(
        [
            f"{found['family']} at depth {found['depth']} of {found['of_depth']}"
            f"{', narrow' if found['narrow'] else ''}: {found['parameters'] / 1e6:.0f} million weights,"
            f" {found['dtype']}; {found['device']}, {found['threads']} threads",
            f"latents {channels} x {height} x {width}, {found['tokens']} tokens,"
            f" guidance {found['guidance']}, {found['steps']} steps, medians of {found['repeat']}",
            f"{'':44} {'':8}    rows",
            line("plain sampling by diffusers", "diffusers"),
            line("plain sampling by ours", "ours", f"of diffusers (goal: at most {goals['ours']})"),
            line("plain sampling, two pictures", "two"),
            line("a picture and its edit by words", "words", f"of two (goal: at most {goals['words']})"),
            line("FlowAlign", "align", f"{a_row} (goal: at most {goals['passes']:.0f} rows a step)"),
            line("a dial of FlowSlider", "slide", a_row),
            line("Blended Latent Diffusion", "blended", a_row),
            "most memory of tensors beyond the model, MiB: "
            + ", ".join(f"{kind} {mib:.0f}" for kind, mib in found["peak_mib"].items()),
            *(_of_rungs(kind, found) for kind in found["rungs_mib"]),
            f"plain sampling: {found['tflops']:.2f} TFLOP/s, {found['share_of_matrix_rate']:.0%} of a matrix"
            " product's rate",
        ]
    )


def _of_rungs(kind: str, found: dict[str, Any]) -> str:
    gib = ", ".join(f"{rung} {mib / 1024:.1f}" for rung, mib in found["rungs_mib"][kind].items())
    if kind == "counted":
        return (
            f"most memory on the device by the rung, counted at full depth and size in bfloat16, GiB: {gib}"
        )
    return (
        f"the same, measured at depth {found['depth']} in {found['dtype']} without text encoders, GiB: {gib}"
    )
