"""The part of `velatura bench guided` on SEGA: beside the authors' pipeline, and a moved slider."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.pipelines.deprecated.semantic_stable_diffusion.pipeline_semantic_stable_diffusion import (
    SemanticStableDiffusionPipeline,
)
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from velatura.cache.cache import Cache
from velatura.diffusion import noise, schedule
from velatura.inversion import ddim
from velatura.methods.sega import SegaParameters
from velatura.methods.steering import ConceptSettings, window
from velatura.models.families.sd import StableDiffusion
from velatura.semantic.edit import edit
from velatura.semantic.guidance import Concept, Momentum, Semantic
from velatura.semantic.source import Prompts, imagined, kept

from .observe import peak, seconds

GOALS = {"published": 0.6, "moved": 0.8}
"""The most that a first run may take, as a share of the published pipeline; and a moved slider, as a share of
its first run."""
COUNTS = (1, 2, 4)
CAPTION, CONCEPTS = "a photo of a man", ("glasses", "a beard", "long hair", "a red hat")
GUIDANCE, SCALE, MOVED = 3.0, 5.0, 2.0
_BUDGET = 2**32


@dataclass
class Concepts:
    """The runs on one model, with the method's windows and momentum. So that rows are equal, concepts are
    read alone, as published, and layers are guided too.

    Args:
        model: denoises.
        sigmas: the levels.
        latents: the noise of a new picture and the latents of a layer, [1, C, h, w].
        pipeline: the authors', on the same networks.
    """

    model: StableDiffusion
    sigmas: list[float]
    latents: Tensor
    pipeline: SemanticStableDiffusionPipeline

    @staticmethod
    def of(model: StableDiffusion, steps: int, side: int = 0) -> Concepts:
        """side: of the latents; 0 for the network's own."""
        side = side or model.latent_size
        latents = noise.standard_normal([0], (model.latent_channels, side, side)).to(model.device)
        settings: dict[str, Any] = {"prediction_type": model.prediction, "timestep_spacing": "trailing"}
        parts: dict[str, Any] = {
            "vae": AutoencoderTiny(),  # the latents are not decoded
            "text_encoder": model.text_encoder,
            "tokenizer": model.tokenizer,
            "unet": model.unet,
            "scheduler": DDIMScheduler(clip_sample=False, **settings),
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": False,
        }
        pipeline = SemanticStableDiffusionPipeline(**parts)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.vae_scale_factor = 8
        return Concepts(model, schedule.sigmas(model.training_sigmas, steps), latents, pipeline)

    @property
    def n(self) -> int:
        """The steps of a run."""
        return len(self.sigmas) - 1

    def published(self, count: int) -> None:
        """The authors' run of as many steps."""
        concept, params = ConceptSettings.model_validate({}), SegaParameters.model_validate({})
        begin, end = window(concept.begin, concept.end, self.n)
        height, width = (8 * side for side in self.latents.shape[-2:])
        self.pipeline(
            prompt=CAPTION,
            height=height,
            width=width,
            num_inference_steps=self.n,
            guidance_scale=GUIDANCE,
            latents=self.latents,
            output_type="latent",
            editing_prompt=list(CONCEPTS[:count]),
            edit_guidance_scale=SCALE,
            edit_threshold=1.0 - concept.reach,
            edit_warmup_steps=begin,
            edit_cooldown_steps=end,
            edit_momentum_scale=params.momentum,
            edit_mom_beta=params.momentum_kept,
        )

    def ours(self, cache: Cache, count: int, scale: float = SCALE, *, layer: bool = False) -> Tensor:
        """Our run, on a new picture or on a layer whose inversion is kept like all else."""
        model, concept, params = (
            self.model,
            ConceptSettings.model_validate({}),
            SegaParameters.model_validate({}),
        )
        begin, end = window(concept.begin, concept.end, self.n)
        semantic = Semantic(
            [
                Concept(model.encode_prompt(text), None, scale, 1.0 - concept.reach, begin, end)
                for text in CONCEPTS[:count]
            ],
            Momentum(params.momentum, params.momentum_kept),
        )
        if layer:
            c = model.encode_prompt(CAPTION)
            trajectory = cache.kept(
                "layer", lambda _: ddim.direct(model, self.latents, c, self.sigmas), device=model.device
            )
        else:
            trajectory = imagined(model, self.latents.shape[1:], self.sigmas, [0])
        prompts = Prompts(CAPTION, "", GUIDANCE)
        with kept(cache, model, trajectory, prompts, semantic.conditions) as source:
            return edit(source, semantic, lambda step: None)


def runs(concepts: Concepts) -> dict[str, Callable[[], object]]:
    """The runs to time, by name; each moved slider follows its first run."""
    made: dict[str, Callable[[], object]] = {}
    for count in COUNTS:
        made[f"published {count}"] = lambda count=count: concepts.published(count)
        for start in ("new", "layer"):
            made |= _pair(concepts, count, start)
    return made


def _pair(concepts: Concepts, count: int, start: str) -> dict[str, Callable[[], object]]:
    caches: list[Cache] = []

    def first() -> object:
        caches[:] = [Cache(memory=_BUDGET)]
        return concepts.ours(caches[0], count, layer=start == "layer")

    def moved() -> object:
        return concepts.ours(caches[0], count, MOVED, layer=start == "layer")

    return {f"{start} {count}": first, f"{start} {count} moved": moved}


def ratios(took: dict[str, float]) -> dict[str, float]:
    """The ratios of the medians."""
    found: dict[str, float] = {}
    for count in COUNTS:
        found[f"published {count}"] = took[f"new {count}"] / took[f"published {count}"]
        found[f"published {count} moved"] = took[f"new {count} moved"] / took[f"published {count}"]
        for start in ("new", "layer"):
            found[f"{start} {count} moved"] = took[f"{start} {count} moved"] / took[f"{start} {count}"]
    return found


def report(figures: dict[str, Any]) -> Sequence[str]:
    """The lines of the report."""
    took, found, goals = figures["seconds"], figures["ratios"], figures["goals"]
    channels, height, width = figures["latents"]
    lines = [
        f"SEGA, one picture; latents {channels} x {height} x {width}, {figures['steps']} steps, "
        f"medians of {figures['repeat']}"
    ]
    for count in COUNTS:
        words = f"{count} concept{'s' * (count > 1)}"

        def line(title: str, name: str, ratio: str = "", words: str = words) -> str:
            return f"{words + ', ' + title:44} {took[name]:8.2f} s   {ratio}"

        lines += [
            line("the published pipeline", f"published {count}"),
            line(
                "a new picture",
                f"new {count}",
                f"{found[f'published {count}']:.3f} of it (goal: at most {goals['published']})",
            ),
            line("a slider moved", f"new {count} moved", _moved(found, f"new {count} moved", goals)),
            line("a layer", f"layer {count}"),
            line(
                "a slider moved on it", f"layer {count} moved", _moved(found, f"layer {count} moved", goals)
            ),
        ]
    peaks = ", ".join(f"{kind} {mib:.1f}" for kind, mib in figures["peak_mib"].items())
    return [*lines, f"most memory of tensors beyond the model, MiB: {peaks}"]


def _moved(found: dict[str, float], name: str, goals: dict[str, float]) -> str:
    return f"{found[name]:.3f} of the first run (goal: at most {goals['moved']})"


@torch.inference_mode()
def measure(concepts: Concepts, repeat: int) -> dict[str, Any]:
    """The medians. The runs take turns, so that other work on the machine slows all alike."""
    kinds = runs(concepts)
    peaks = {name: peak(run, concepts.model.device) / 2**20 for name, run in kinds.items()}  # warms up too
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
        "steps": concepts.n,
        "latents": list(concepts.latents.shape[1:]),
        "repeat": repeat,
        "seconds": took,
        "processor_seconds": worked,
        "ratios": ratios(took),
        "processor_ratios": ratios(worked),
        "peak_mib": peaks,
        "goals": GOALS,
    }
