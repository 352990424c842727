"""Runs of the exported bundle: samples, edits, reconstructions, and the maps of words."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from velatura.attention.places import Place
from velatura.diffusion import noise, samplers, schedule
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import StepIndex, denoise, guide
from velatura.diffusion.network import LatentDiffusion
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.families.sd import StableDiffusion
from velatura.models.store import ModelStore
from velatura_lab.evaluation.cases import Case
from velatura_lab.evaluation.editors import MethodEditor
from velatura_lab.training.tokenizer import token_elements
from velatura_lab.world import Picture, elements

from .asked import full_caption
from .assess import Exam

GUIDANCES = (2.5, 4.0, 5.0)
EDIT_GUIDANCE = 3.0  # guidance scale of edits
BATCH = 8
INSIDE = 0.5  # a place of a map is inside an element that covers at least this share of it


@lru_cache(maxsize=1)
def load_models(folder: Path) -> ModelStore:
    """The bundle in the editor's model store, in float32 on the CPU."""
    return ModelStore([ModelEntry(folder.name, folder.name, "diffusers", str(folder), 128)])


def load_bundle(folder: Path) -> StableDiffusion:
    """The bundle's model."""
    model = load_models(folder).diffusion()
    assert isinstance(model, StableDiffusion)  # as of every folder in the bundle's format
    return model


def to_images(pictures: Sequence[Picture]) -> Tensor:
    """Pictures as one tensor (N, 3, H, W) in 0..1."""
    return torch.stack([torch.from_numpy(picture.rgb) for picture in pictures]).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Order:
    """A batch of pictures to sample in `steps` Euler steps, each with a prompt, seed and guidance scale."""

    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    guidance: tuple[float, ...]
    steps: int


def orders(
    prompts: Sequence[str],
    steps: int,
    seeds: Sequence[int] | None = None,
    guidance: Sequence[float] = GUIDANCES,
) -> list[Order]:
    """All prompts in batches; seeds count from 0 by default, guidance scales take turns."""
    seeds = range(len(prompts)) if seeds is None else seeds
    rows = list(zip(prompts, seeds, cycle(guidance), strict=False))
    batches = [rows[first : first + BATCH] for first in range(0, len(rows), BATCH)]
    return [
        Order(
            tuple(p for p, _, _ in batch), tuple(s for _, s, _ in batch), tuple(g for _, _, g in batch), steps
        )
        for batch in batches
    ]


def sample(model: LatentDiffusion, order: Order) -> Tensor:
    """Pictures (N, 3, S, S) in 0..1 from pure noise, with classifier-free guidance (Ho & Salimans 2021)."""
    cond = cat([model.encode_prompt(prompt) for prompt in order.prompts])
    uncond = model.encode_prompt("").expand(len(cond))
    scale = torch.tensor(order.guidance).view(-1, 1, 1, 1)

    def D(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        D_u, D_c = denoise(model, torch.cat([x, x]), sigma, cat([uncond, cond])).chunk(2)
        return guide(model, x, sigma, D_c, D_u, scale)

    sigmas = schedule.sigmas(model.training_sigmas, order.steps)
    side = model.latent_size
    start = sigmas[0] * noise.standard_normal(order.seeds, (model.latent_channels, side, side))
    return model.decode(samplers.euler(D, start, sigmas, lambda x, _: x)) * 0.5 + 0.5


def reconstruct(model: StableDiffusion, images: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in 0..1, encoded to latents and decoded."""
    return torch.cat([model.decode(model.encode(x * 2.0 - 1.0)) * 0.5 + 0.5 for x in images.split(BATCH)])


def draw_order(models: ModelStore, order: Order) -> NDArray[np.float32]:
    """`sample` in the form that `Studio.each` calls."""
    return sample(models.diffusion(), order).numpy()


def edit_case(models: ModelStore, job: tuple[Case, int]) -> NDArray[np.float32]:
    """The result (3, H, W) in 0..1 of one edit by Blended Latent Diffusion with its defaults.

    `job` is the case and the edit's seed.
    """
    case, seed = job
    editor = MethodEditor(
        registry()["blended-latent-diffusion"], models, defaults={"guidance": EDIT_GUIDANCE}
    )
    picture = editor.edit(case, [seed]).pictures[0]
    return (picture.transpose(2, 0, 1) / 255.0).astype(np.float32)


class Studio:
    """A pool of processes, one a core, each with a copy of the bundle.

    For small networks this is faster than one process with as many threads.  The results do not depend on
    the number of processes.
    """

    def __init__(self, bundle: Path, processes: int) -> None:
        self.bundle = bundle
        context = multiprocessing.get_context("spawn")
        self._pool = context.Pool(processes, torch.set_num_threads, (1,))

    def each(
        self, work: Callable[[ModelStore, Any], NDArray[np.float32]], items: Sequence[Any], title: str
    ) -> list[NDArray[np.float32]]:
        """The results of `work(models, item)` in the order of the items, with a progress bar."""
        jobs = [(work, self.bundle, item) for item in items]
        return list(tqdm(self._pool.imap(_do, jobs), title, len(jobs), mininterval=1.0, dynamic_ncols=True))

    def draw(self, ordered: Sequence[Order], title: str) -> Tensor:
        """The pictures (N, 3, S, S) in 0..1 of all orders, in their order."""
        return torch.from_numpy(np.concatenate(self.each(draw_order, ordered, title)))

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


def _do(job: tuple[Callable[[ModelStore, Any], NDArray[np.float32]], Path, Any]) -> NDArray[np.float32]:
    work, bundle, item = job
    return work(load_models(bundle), item)


@torch.no_grad()
def pointing(model: StableDiffusion, exam: Exam, count: int, t: int = 400) -> list[dict[str, bool]]:
    """For each of the first `count` pictures, element -> whether the map of its noun is strongest inside it.

    The maps are those of noised latents of renders with their full captions, at the latents' resolution,
    averaged over layers.  An element's noun is its last word.  Elements without a place inside them
    (INSIDE) are left out.

    Args:
        model: The bundle's model.
        exam: Scenes with their renders.
        count: Pictures to measure.
        t: The training step whose noise is added.
    """
    sigma = float(model.training_sigmas[t])
    side = model.latent_size
    hits: list[dict[str, bool]] = []
    maps: list[Tensor] = []  # (places, tokens), of the layers at the latent's own resolution

    def look(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place.kind == "cross" and place.level == 0:
            M = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
            maps.append(M[0].float().mean(0))
        return F.scaled_dot_product_attention(q, k, v)

    for index in tqdm(range(count), "pointing", mininterval=1.0, dynamic_ncols=True):
        scene, picture = exam.scenes[index], exam.pictures[index]
        words = full_caption(scene, exam.seen(index))
        z = model.encode(to_images([picture]) * 2.0 - 1.0)
        noisy = z + sigma * noise.standard_normal([index], z.shape[1:])
        maps.clear()
        denoise(model, noisy, sigma, model.encode_prompt(words.text), look)
        places = torch.stack(maps).mean(0)
        shares = F.adaptive_avg_pool2d(torch.from_numpy(picture.masks), side).flatten(1)
        about = token_elements(words)
        hits.append({})
        for number, element in enumerate(elements(scene)):
            tokens = [k for k, name in enumerate(about) if name == element]
            if tokens and shares[number].max() >= INSIDE:
                strongest = int(places[:, tokens[-1]].argmax())
                hits[-1][element] = bool(shares[number, strongest] >= INSIDE)
    return hits
