"""What the exported bundle can do, in figures, on scenes no training step saw."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.diffusion import noise, samplers, schedule
from velatura.diffusion.denoiser import denoise
from velatura.methods.base import MethodInputs
from velatura.methods.blended_latent_diffusion import BlendedLatentDiffusion
from velatura.models.catalogue import ModelEntry
from velatura.models.digests import Digests
from velatura.models.loading import load
from velatura.models.model import Model
from velatura.readers import Judge
from velatura.world import ATTRIBUTES, ELEMENTS, Picture, Scene, caption, edit, render, sample_scene

from .maps import record_maps
from .tokenizer import token_elements

GUIDANCES = (2.5, 4.0, 5.0)


def load_bundle(folder: Path) -> Model:
    """The bundle through the loader that the editor uses, in float32 on the CPU."""
    return load(
        ModelEntry(folder.name, folder.name, "diffusers", str(folder), 128),
        torch.device("cpu"),
        torch.float32,
        Digests(),
    )


def held_out(seed: int, count: int) -> list[Scene]:
    """Scenes that no training step saw: theirs are drawn from [seed, index]."""
    return [sample_scene(np.random.default_rng([seed, 424_242, index])) for index in range(count)]


def to_images(pictures: Sequence[Picture]) -> Tensor:
    """(N, 3, H, W) in 0..1."""
    return torch.stack([torch.from_numpy(picture.rgb) for picture in pictures]).permute(0, 3, 1, 2)


def sample(model: Model, prompts: Sequence[str], seeds: Sequence[int], guidance: float, steps: int) -> Tensor:
    """Pictures (N, 3, 128, 128) in 0..1 for as many prompts, from pure noise with guided Euler steps."""
    cond = torch.cat([model.encode_prompt(prompt) for prompt in prompts])
    uncond = model.encode_prompt("").expand(len(prompts), -1, -1)

    def D(x: Tensor, sigma: float) -> Tensor:
        low, high = denoise(model, torch.cat([x, x]), sigma, torch.cat([uncond, cond])).chunk(2)
        return low + guidance * (high - low)

    sigmas = schedule.sigmas(model.training_sigmas, steps)
    side = model.size // model.factor
    start = sigmas[0] * noise.standard_normal(seeds, (model.unet.config.in_channels, side, side))
    return model.decode(samplers.euler(D, start, sigmas, lambda x, _: x)) * 0.5 + 0.5


def _mean(values: Sequence[bool]) -> float:
    return round(float(np.mean(values)), 3)


def reading(judge: Judge, images: Tensor, scenes: Sequence[Scene]) -> dict[str, float]:
    """Share of pictures in which the judge reads each attribute as the scene has it."""
    read = judge.read(images)
    result = {}
    for name in ATTRIBUTES:
        counted = [
            (r[name], getattr(s, name))
            for r, s in zip(read, scenes, strict=True)
            if name != "hat_colour" or s.hat != "none"
        ]
        result[name] = _mean([got == wanted for got, wanted in counted])
    return result


def reconstruct(model: Model, images: Tensor) -> Tensor:
    return model.decode(model.encode(images * 2.0 - 1.0)) * 0.5 + 0.5


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, mean over pictures in 0..1."""
    return round(float((-10.0 * ((a - b) ** 2).mean((1, 2, 3)).log10()).mean()), 2)


@dataclass(frozen=True)
class Drawn:
    """What was sampled for a set of prompts."""

    images: Tensor
    seconds: float


def draw(model: Model, scenes: Sequence[Scene], steps: int, batch: int = 8) -> Drawn:
    """One picture for the full caption of every scene; guidance goes through GUIDANCES batch by batch."""
    start, parts = time.monotonic(), []
    for number, first in enumerate(range(0, len(scenes), batch)):
        chunk = scenes[first : first + batch]
        seeds = list(range(first, first + len(chunk)))
        parts.append(
            sample(model, [caption(s).text for s in chunk], seeds, GUIDANCES[number % len(GUIDANCES)], steps)
        )
    return Drawn(torch.cat(parts), (time.monotonic() - start) / len(scenes))


@torch.no_grad()
def pointing(model: Model, scenes: Sequence[Scene], t: int = 400) -> dict[str, float]:
    """How often the strongest place of an element's last word (its noun) lies in the element's exact mask.

    Mean of the maps at 16 x 16 of the noised latents of renders; a place is inside where the element covers
    at least a fifth of it.
    """
    sigma = float(model.training_sigmas[t])
    hits: dict[str, list[bool]] = {}
    with record_maps(model.unet) as maps:
        for index, scene in enumerate(scenes):
            picture, words = render(scene, model.size), caption(scene)
            z = model.encode(to_images([picture]) * 2.0 - 1.0)
            maps.clear()
            denoise(
                model,
                z + sigma * noise.standard_normal([index], z.shape[1:]),
                sigma,
                model.encode_prompt(words.text),
            )
            side = model.size // model.factor
            places = torch.stack([m[0] for m in maps if m.shape[1] == side * side]).mean(0)  # (256, tokens)
            shares = F.adaptive_avg_pool2d(torch.from_numpy(picture.masks), side).flatten(1)
            about = token_elements(words)
            for number, element in enumerate(ELEMENTS):
                tokens = [k for k, name in enumerate(about) if name == element]
                if tokens and shares[number].max() >= 0.2:
                    hits.setdefault(element, []).append(
                        bool(shares[number, places[:, tokens[-1]].argmax()] >= 0.2)
                    )
    return {name: _mean(values) for name, values in hits.items()}


class _Context:
    def __init__(self, model: Model) -> None:
        self.model = model

    def step(self, i: int, n: int, preview: object = None) -> None:
        """Nothing watches."""

    def decode(self, z: Tensor) -> Tensor:
        return self.model.decode(z)


def masked_edit(
    model: Model,
    image: Tensor,
    mask: Tensor,
    prompt: str,
    seeds: list[int],
    guidance: float = 4.0,
    steps: int = 25,
) -> Tensor:
    """Blended Latent Diffusion at the model's size, the picture itself outside the mask.

    image (1, 3, 128, 128) in 0..1, mask (1, 1, 128, 128) -> (N, 3, 128, 128), one for each seed.
    """
    params = BlendedLatentDiffusion.Parameters(guidance=guidance, steps=steps)
    result = BlendedLatentDiffusion().run(
        MethodInputs(image * 2.0 - 1.0, mask, prompt, seeds), params, _Context(model)
    )
    return image + mask * ((result * 0.5 + 0.5) - image)


def generous(mask: Tensor, pixels: int = 5) -> Tensor:
    """A mask (1, 1, H, W) grown by some pixels with a soft edge, as a hand would draw it."""
    grown = F.max_pool2d((mask > 0.3).float(), 2 * pixels + 1, 1, pixels)
    return F.avg_pool2d(F.pad(grown, (2, 2, 2, 2), mode="replicate"), 5, 1)


@dataclass(frozen=True)
class Edit:
    """One masked edit: before, after (3, 128, 128), mask (1, 128, 128), prompt, whether it is read."""

    element: str
    before: Tensor
    mask: Tensor
    after: Tensor
    prompt: str
    success: bool


def masked_edits(model: Model, judge: Judge, scenes: Sequence[Scene], per_element: int) -> list[Edit]:
    """Glasses, beard and hat added to held-out portraits that have none; success is what the judge reads."""
    changes = {
        "glasses": ("glasses", ("glasses", "sunglasses")),
        "beard": ("beard", (True,)),
        "hat": ("hat", ("hat", "beanie")),
    }
    edits = []
    for element, (attribute, values) in changes.items():
        plain = [
            s
            for s in scenes
            if s.glasses == "none"
            and s.hat == "none"
            and not s.beard
            and (element != "beard" or s.person == "man")
        ]
        for index, scene in enumerate(plain[:per_element]):
            wanted = edit(scene, **{attribute: values[index % len(values)]})
            before = to_images([render(scene, model.size)])
            mask = generous(torch.from_numpy(render(wanted, model.size).mask(element))[None, None])
            prompt = caption(wanted).text
            after = masked_edit(model, before, mask, prompt, [index])
            read = judge.read(after)[0]
            success = read[attribute] == getattr(wanted, attribute) and (
                element != "hat" or read["hat_colour"] == wanted.hat_colour
            )
            edits.append(Edit(element, before[0], mask[0], after[0], prompt, bool(success)))
    return edits
