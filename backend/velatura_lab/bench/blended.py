"""Blended Latent Diffusion beside a plain port of the published procedure: 24 variations, ranked, and the
best one reconstructed.

The published procedure (Avrahami et al. 2023, section 4 and appendix C): 50 DDIM steps for the batch, every
result decoded and ranked by CLIP on the selected area, then all weights of the decoder tuned for 75 steps on
the best. Ours: the shipped settings in batches of as many variations as a request may have, ranked as for a
person, then the best one again with its decoder tuned.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.cache import Cache
from velatura.diffusion import blending, denoiser, noise, samplers, schedule
from velatura.diffusion.network import LatentDiffusion
from velatura.methods.registry import registry
from velatura.models import catalogue
from velatura.models.store import ModelStore
from velatura.weights.device import choose
from velatura_lab.evaluation.cases import Case, named_cases
from velatura_lab.evaluation.editors import MethodEditor, Unwatched, layers_of

GOAL = 1 / 3
"""The most that ours may take, as a share of the published procedure."""
VARIATIONS, STEPS, FITTED = 24, 50, 75
GUIDANCE, BACKGROUND, RATE = 5.0, 100.0, 1e-4
METHOD = "blended-latent-diffusion"


class Timed(Unwatched):
    """Hooks that add up the seconds of each stage, by the name that a person sees."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}
        self._stage, self._since = "", time.perf_counter()

    def progress(self, stage: str, step: int, steps: int, fraction: float) -> None:
        """A stage lasts until the first report of the next one."""
        now = time.perf_counter()
        self.took[self._stage] = self.took.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def end(self) -> dict[str, float]:
        """Seconds by stage."""
        self.progress("", 0, 0, 1.0)
        return {stage: seconds for stage, seconds in self.took.items() if stage}


def ours(models: ModelStore, case: Case, variations: int, **settings: Any) -> dict[str, float]:
    """Seconds by stage of ours. settings: of the method, in place of the shipped ones."""
    method, hooks, cache = registry()[METHOD], Timed(), Cache()
    editor = MethodEditor(method, models, defaults=settings)
    best = (float("-inf"), 0)
    for first in range(0, variations, editor.batch):
        seeds = range(first, min(variations, first + editor.batch))
        layers = layers_of(*editor.request(case, seeds), models, hooks, cache)
        scores = [layer.place.score if layer.place else 0.0 for layer in layers]
        best = max(best, *zip(scores, seeds, strict=True))
    fitted = MethodEditor(method, models, defaults=settings | {"reconstruction": "decoder"})
    layers_of(*fitted.request(case, [best[1]]), models, hooks, cache)
    return hooks.end()


@torch.inference_mode()
def published(
    models: ModelStore, case: Case, variations: int, steps: int = STEPS, fitted: int = FITTED
) -> dict[str, float]:
    """Seconds by stage of the published procedure."""
    model, took = models.diffusion(), dict[str, float]()
    x, m = case.source_image.to(model.device) * 2.0 - 1.0, case.mask_weight.to(model.device)
    since = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal since
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        took[stage], since = time.perf_counter() - since, time.perf_counter()

    z = _edited(model, case.target_prompt, x, m, variations, steps)
    done("Editing")
    pictures = torch.cat([model.decode(one) for one in z.split(1)])
    done("Decoding")
    best = 0
    clip = models.clip()
    if clip is not None:
        words = clip.texts([case.target_prompt])
        looks = torch.cat([clip.images(one) for one in ((pictures + 1.0) / 2.0 * m).split(1)])
        best = int(F.cosine_similarity(looks, words).argmax())
    done("Ranking")
    _tuned(model, z[best : best + 1], pictures[best : best + 1], x, m, fitted)
    done("Reconstruction")
    return took


def _edited(model: LatentDiffusion, prompt: str, x: Tensor, m: Tensor, variations: int, steps: int) -> Tensor:
    D = denoiser.guided(model, prompt, "", GUIDANCE)
    sigmas = schedule.sigmas(model.training_sigmas, steps)
    z_init = model.encode(x)
    n = noise.standard_normal(range(variations), z_init.shape[1:]).to(z_init)
    m_latent = blending.latent_mask(m, (z_init.shape[-2], z_init.shape[-1]))

    def blended(z: Tensor, step: samplers.Step) -> Tensor:
        return blending.blend(z, z_init + step.sigma_next * n, m_latent)

    return samplers.euler(D, z_init + sigmas[0] * n, sigmas, blended)


def _tuned(model: LatentDiffusion, z: Tensor, edited: Tensor, x: Tensor, m: Tensor, steps: int) -> Tensor:
    """Equation 2 with all weights, each step through the whole decoder."""
    decoder = model.tunable_decoder()
    with torch.inference_mode(False), torch.enable_grad():
        z, edited, x, m = (tensor.clone() for tensor in (z, edited, x, m))
        theta = {name: weight.clone().requires_grad_() for name, weight in decoder.weights.items()}
        adam = torch.optim.Adam(theta.values(), lr=RATE)
        for _ in range(steps):
            adam.zero_grad()
            picture = decoder.picture(z, theta)
            loss = F.mse_loss(picture * m, edited * m)
            loss = loss + BACKGROUND * F.mse_loss(picture * (1.0 - m), x * (1.0 - m))
            loss.backward()
            adam.step()
        return decoder.picture(z, theta).detach()


def measure(models: ModelStore, variations: int = VARIATIONS, steps: int = STEPS) -> dict[str, Any]:
    """Seconds of both, by stage. steps: of the published procedure."""
    (case,) = named_cases([("portrait", "add glasses")], 7, models.diffusion().size)
    ours(models, case, 2)  # warms up
    figures = {
        "ours": ours(models, case, variations),
        "published": published(models, case, variations, steps),
    }
    whole = {name: sum(stages.values()) for name, stages in figures.items()}
    return {
        "variations": variations,
        "device": str(models.device),
        "threads": torch.get_num_threads(),
        "stages": figures,
        "seconds": whole,
        "ratio": whole["ours"] / whole["published"],
        "goal": GOAL,
    }


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines = [f"{figures['device']}, {figures['threads']} threads; {figures['variations']} variations", ""]
    for name, stages in figures["stages"].items():
        lines.append(f"{name:44} {figures['seconds'][name]:8.2f} s")
        lines += [f"    {stage:40} {seconds:8.2f} s" for stage, seconds in stages.items()]
    return "\n".join(
        [*lines, "", f"ours / published: {figures['ratio']:.3f} (goal: at most {figures['goal']:.3f})"]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if the goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench blended", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--variations", type=int, default=VARIATIONS)
    parser.add_argument("--steps", type=int, default=STEPS, help="of the published procedure")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda:0")
    chosen = parser.parse_args(argv)
    entry = catalogue.entries(Path("/nonexistent"))[0]
    models = ModelStore([entry], choose(chosen.device))
    figures = measure(models, chosen.variations, chosen.steps)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0
