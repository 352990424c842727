"""`velatura bench faces`: dials of a style-based generator, its inversion, and StyleCLIP's optimisation
beside the published loop."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from velatura.clip_guidance.loss import wanted
from velatura.companions.clip import Encoder
from velatura.companions.identity import Identity
from velatura.models.catalogue import EMBEDDED_FACE_ID, entries
from velatura.models.families.style_generator import Styled
from velatura.models.store import ModelStore
from velatura.shelf import Dial
from velatura.stylespace import clip_losses, inversion, optimisation
from velatura.stylespace.applying import applied
from velatura.stylespace.mapper import Mapper
from velatura.weights.device import choose, name
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir

from . import published
from .observe import peak, seconds

GOALS = {"dial": 0.03, "published": 0.5}
"""The most seconds of applying a dial at 128 pixels; and the most that an optimisation may take, as a share
of the published loop's time."""
TEXT = "a person with glasses"
SETTINGS = optimisation.Settings(steps=300, rate=0.1, hold=0.008, likeness=0.0)
"""As published; the steps are the command's."""
HOLD = 0.1
"""Of the refinement of a code."""
_WARM = 2  # steps of a run that warms up, whose memory is counted


@dataclass
class Faces:
    """The operations on one face.

    Args:
        model: the generator.
        clip: CLIP.
        identity: tells people apart; None: likeness takes no part.
        steps: of an optimisation and of a refinement.
        likeness: lambda_ID.
    """

    model: Styled
    clip: Encoder
    identity: Identity | None
    steps: int
    likeness: float = 0.0
    _copies: tuple[published.Plain, Encoder, Identity | None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        model = self.model
        with torch.inference_mode(False), torch.no_grad():
            self.ws = model.wplus(model.sample([1])).clone()
            self.picture = inversion.made(model, self.ws).clamp(-1.0, 1.0)
            self.text = wanted(self.clip, TEXT).clone()
            random = torch.Generator().manual_seed(0)
            styles = model.styles(self.ws)
            direction = {
                f"s{i}": 0.1 * torch.randn(styles[i].shape[1], generator=random) for i in model.convolutions
            }
            vector = {"ws": 0.1 * torch.randn(model.num_ws, model.w_dim, generator=random)}
            mapper = dict(Mapper(model.num_ws, model.w_dim).state_dict())
        made = {"direction": direction, "vector": vector, "mapper": mapper}
        self.dials = {kind: Dial("", kind, model.digest, cast(Any, kind), made[kind]) for kind in made}

    @torch.inference_mode()
    def plain(self) -> Tensor:
        """The generator's picture of the code."""
        return self.model.decode(self.ws)

    @torch.inference_mode()
    def moved(self, *kinds: str) -> Tensor:
        """The picture with dials of these kinds applied."""
        return self.model.synthesise(
            applied(self.model, self.ws, [(self.dials[k], 1.0) for k in kinds])
        ).pictures

    @torch.inference_mode()
    def encode(self) -> Tensor:
        """The encoder's code of the picture."""
        return self.model.encode(self.picture)

    def refine(self, steps: int = 0) -> Tensor:
        """The refinement of a code."""
        start = self.model.wplus(self.model.w_avg[None])
        n = steps or self.steps
        return inversion.refined(self.model, self.picture, start, n, HOLD, [], lambda i, ws: None)

    def ours(self, steps: int = 0) -> Tensor:
        """StyleCLIP's optimisation of the product."""
        settings = optimisation.Settings(steps or self.steps, SETTINGS.rate, SETTINGS.hold, self.likeness)
        distance = clip_losses.d_clip(self.clip, self.text)
        recogniser = self.identity or self.clip
        done: Callable[..., None] = lambda *_: None  # noqa: E731
        return optimisation.optimise(self.model, self.ws, distance, recogniser, settings, [], done)

    def published(self, steps: int = 0) -> Tensor:
        """The published loop (orpatashnik/StyleCLIP, optimization/run_optimization.py), written plainly.

        Other than in ours, the weights of no network are frozen, so that every backward pass computes their
        gradients too; see `published` for the rest. The identity of the source is computed again in each
        step, where it takes part at all.
        """
        n = steps or self.steps
        model, clip, identity = self._unfrozen
        with torch.inference_mode(False), torch.enable_grad():
            w_s, source = self.ws.clone(), self.picture.clone()
            latent = w_s.clone().requires_grad_()
            optimizer = torch.optim.Adam([latent], lr=SETTINGS.rate)
            for i in range(n):
                optimizer.param_groups[0]["lr"] = optimisation.rate_at(i / n, SETTINGS.rate)
                made = model(latent)
                loss = published.clip_loss(clip, made, TEXT).sum()
                loss = loss + SETTINGS.hold * (w_s - latent).square().sum()
                if self.likeness and identity is not None:
                    same = (
                        identity.images((made + 1.0) / 2.0) * identity.images((source + 1.0) / 2.0).detach()
                    )
                    loss = loss + self.likeness * (1.0 - same.sum())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return latent.detach()

    @property
    def _unfrozen(self) -> tuple[published.Plain, Encoder, Identity | None]:
        """The networks with weights that take gradients, as the published code has them."""
        if self._copies is None:
            with torch.inference_mode(False):
                clip, identity = deepcopy((self.clip, self.identity))
                for network in (clip.network, identity):
                    if isinstance(network, nn.Module):
                        network.requires_grad_()
                plain = published.Plain(self.model.loaded).to(self.model.device)
                self._copies = plain, clip, identity
        return self._copies


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if a goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench faces", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--model", default=EMBEDDED_FACE_ID, help="see `velatura models`")
    parser.add_argument("--state-dir", type=Path, help="the daemon's, whose models can be named")
    parser.add_argument("--steps", type=int, default=40, help="of each optimisation; published are 300")
    parser.add_argument("--likeness", type=float, default=0.0, help="weight of the identity loss")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each kind; medians are printed")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda:0")
    chosen = parser.parse_args(argv)
    figures = measure(loaded(chosen), chosen.repeat)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


def loaded(chosen: argparse.Namespace) -> Faces:
    """The model with its companions. Raises `unknown-model` for one of another kind, or without a CLIP."""
    models = ModelStore(entries(state_dir(chosen.state_dir)), choose(chosen.device))
    model, clip = models.get(chosen.model), models.clip()
    if not isinstance(model, Styled) or clip is None:
        raise VelaturaError(
            "unknown-model", f"{chosen.model} is no style-based generator with a CLIP; choose another model."
        )
    return Faces(model, clip, models.identity(), chosen.steps, chosen.likeness)


def measure(faces: Faces, repeat: int) -> dict[str, Any]:
    """The medians. The kinds take turns, so that other work on the machine slows all alike."""
    kinds: dict[str, Callable[[], object]] = {
        "picture": faces.plain,
        "direction": lambda: faces.moved("direction"),
        "vector": lambda: faces.moved("vector"),
        "mapper": lambda: faces.moved("mapper"),
        "all three": lambda: faces.moved("direction", "vector", "mapper"),
    }
    if faces.model.has_encoder:
        kinds["encode"] = faces.encode
    kinds |= {"refine": faces.refine, "optimise": faces.ours, "published": faces.published}
    short = {"refine": faces.refine, "optimise": faces.ours, "published": faces.published}
    peaks = {
        name: peak((lambda name=name: short[name](_WARM)) if name in short else run, faces.model.device)
        / 2**20
        for name, run in kinds.items()
    }  # warms up too
    clock: dict[str, list[float]] = {name: [] for name in kinds}
    processors: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeat):
        for name_, run in kinds.items():
            by_clock, on_processors, _result = seconds(run)
            clock[name_].append(by_clock)
            processors[name_].append(on_processors)
    took, worked = (
        {name: statistics.median(values) for name, values in table.items()} for table in (clock, processors)
    )
    return {
        "model": faces.model.id,
        "device": name(faces.model.device),
        "threads": torch.get_num_threads(),
        "size": faces.model.size,
        "steps": faces.steps,
        "likeness": faces.likeness,
        "repeat": repeat,
        "seconds": took,
        "processor_seconds": worked,
        "ratios": {"published": took["optimise"] / took["published"]},
        "processor_ratios": {"published": worked["optimise"] / worked["published"]},
        "peak_mib": peaks,
        "goals": GOALS,
    }


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    took, steps = figures["seconds"], figures["steps"]

    def fast(title: str, kind: str, goal: str = "") -> str:
        return f"{title:52} {1e3 * took[kind]:8.1f} ms   {goal}"

    def slow(title: str, kind: str, note: str = "") -> str:
        return f"{title:52} {took[kind]:8.2f} s    {note}"

    goal = f"(goal: at most {1e3 * GOALS['dial']:.0f} at 128 pixels)"
    ratio = f"{figures['ratios']['published']:.3f} of it (goal: at most {GOALS['published']})"
    peaks = ", ".join(f"{kind} {mib:.1f}" for kind, mib in figures["peak_mib"].items())
    lines = [
        f"{figures['model']}, {figures['size']} pixels; {figures['device']}, {figures['threads']} threads;"
        f" medians of {figures['repeat']}",
        "",
        fast("a picture of a code", "picture"),
        fast("with a direction", "direction", goal),
        fast("with an edit vector", "vector", goal),
        fast("with a mapper", "mapper", goal),
        fast("with all three", "all three"),
        *([fast("reading a face with the encoder", "encode")] if "encode" in took else []),
        slow(f"refining a code, {steps} steps", "refine", f"{1e3 * took['refine'] / steps:.0f} ms a step"),
        slow(f"the published optimisation, {steps} steps", "published"),
        slow("ours, as many steps", "optimise", ratio),
        "",
        f"most memory of tensors beyond the model, MiB: {peaks}",
    ]
    return "\n".join(lines)
