"""Measure the exported bundle on held-out scenes, and write figures, card and pictures."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from velatura.models.families.sd import StableDiffusion
from velatura_lab.cards.card import note_of, record, write_card
from velatura_lab.evaluation.cases import Case, world_cases
from velatura_lab.evaluation.encoders import home_made
from velatura_lab.evaluation.session import machine
from velatura_lab.exam import figures, measure
from velatura_lab.exam.asked import Request, combined, ladders, of_exam
from velatura_lab.exam.assess import Exam, ImageText
from velatura_lab.exam.grids import MOST_BYTES, save_small, sheet
from velatura_lab.readers import Judge
from velatura_lab.training.loop import load_checkpoint
from velatura_lab.world import KINDS, elements

from .sections import sections

FEW_STEPS = 10
LADDER_GUIDANCE = 4.0
SHOWN = 8  # samples of each kind in the grid
EDITS_SHOWN = 3  # of each kind
PARTS = ("autoencoder", "decoder", "diffusion")


def evaluate(
    work: Path,
    bundle: Path,
    seed: int,
    count: int,
    steps: int,
    processes: int,
    look: bool,
    note: str | None = None,
) -> None:
    """Measure a bundle and write its figures, card and pictures.

    This takes about eight minutes for 64 prompts of each kind on two cores.

    Args:
        work: The folder of the training, for the card.
        bundle: The model's folder.
        seed: Of the scenes and samples.
        count: Prompts of each kind of scene.
        steps: Sampling steps.
        processes: Processes that sample.
        look: Whether to write `look.png` too, renders above samples of their captions.
        note: The card's note on the training; None keeps the earlier one.

    Raises:
        FileNotFoundError: There is no judge.
    """
    readers = home_made()
    if not isinstance(readers.judge, Judge):
        raise FileNotFoundError("no judge to read pictures with; run `velatura train judge` and `readers`")
    model = measure.load_bundle(bundle)
    exams = {kind: Exam(seed, 2 * count, kind, model.size) for kind in tqdm(KINDS, "rendering", unit="kind")}
    examination = Examination(model, readers.judge, readers.clip, exams, seed, count, steps)
    studio = measure.Studio(bundle, processes)
    try:
        measured = examination.run(studio)
    finally:
        studio.close()
    measured |= {
        "seconds_a_sample": seconds_a_sample(model, steps),
        **provenance(work, bundle, model, note),
    }
    written = sections(measured)
    (bundle / "figures.json").write_text(compact(measured) + "\n")
    write_card(bundle, measured | {"sections": written})
    samples = [list(images[:SHOWN].numpy()) for images in examination.drawn.values()]
    save_small(sheet(samples), bundle / "samples.png")
    save_small(edits_sheet(examination.edits), bundle / "edits.png")
    if look:
        renders = [list(exam.images[:SHOWN].numpy()) for exam in exams.values()]
        rows = list(chain(*zip(renders, samples, strict=True)))
        save_small(sheet(rows), bundle / "look.png", 2 * MOST_BYTES)
    print("\n\n".join(written))


@dataclass
class Examination:
    """One run of all measurements.  It keeps samples by kind, and edits with their cases, for the grids."""

    model: StableDiffusion
    judge: Judge
    clip: ImageText | None
    exams: dict[str, Exam]
    seed: int
    count: int
    steps: int
    drawn: dict[str, Tensor] = field(default_factory=dict)
    edits: list[tuple[Case, NDArray[np.float32]]] = field(default_factory=list)

    def run(self, studio: measure.Studio) -> dict[str, Any]:
        """All figures."""
        head = {"seed": self.seed, "count": self.count, "steps": self.steps, "guidance": measure.GUIDANCES}
        return (
            head
            | self.of_autoencoder()
            | self.of_samples(studio)
            | self.of_maps()
            | self.of_degrees(studio)
            | self.of_combinations(studio)
            | self.of_edits(studio)
        )

    def of_autoencoder(self) -> dict[str, Any]:
        """PSNR, and the judge's readings of renders and of their reconstructions."""
        rows: dict[str, dict[str, Any]] = {
            name: {} for name in ("autoencoder_psnr_db", "judge_on_renders", "judge_on_reconstructions")
        }
        for kind, exam in tqdm(self.exams.items(), "autoencoder", unit="kind"):
            images = exam.images
            rebuilt = measure.reconstruct(self.model, images)
            rows["autoencoder_psnr_db"][kind] = figures.rebuilding(rebuilt, exam)
            rows["judge_on_renders"][kind] = figures.judged(self.judge, exam, images)
            rows["judge_on_reconstructions"][kind] = figures.judged(self.judge, exam, rebuilt)
        return rows

    def of_samples(self, studio: measure.Studio) -> dict[str, Any]:
        """Agreement of samples with their prompts: by attribute, with few steps, by guidance, and by CLIP."""
        requests = {kind: of_exam(exam, self.count) for kind, exam in self.exams.items()}
        half = {kind: own[: max(1, self.count // 2)] for kind, own in requests.items()}
        self.drawn = draw(studio, requests, self.steps, f"samples, {self.steps} steps")
        few = draw(studio, half, FEW_STEPS, f"samples, {FEW_STEPS} steps")
        every, images = list(chain(*requests.values())), torch.cat(list(self.drawn.values()))
        scales = islice(cycle(measure.GUIDANCES), len(every))
        return {
            "attributes_as_prompted": self.by_kind(figures.prompted, self.drawn, requests),
            f"attributes_as_prompted_{FEW_STEPS}_steps": self.by_kind(figures.prompted, few, half),
            "nothing_unasked": self.by_kind(figures.unasked, self.drawn, requests),
            "as_prompted_by_guidance": figures.by_guidance(self.judge, images, every, scales),
            "clip_right_caption": self.of_clip(requests),
            "prompts": {kind: [r.prompt for r in own[:SHOWN]] for kind, own in requests.items()},
        }

    def by_kind(
        self,
        figure: Callable[[Judge, Tensor, list[Request]], Any],
        images: dict[str, Tensor],
        requests: dict[str, list[Request]],
    ) -> dict[str, Any]:
        """A figure of the images of each kind."""
        return {kind: figure(self.judge, images[kind], own) for kind, own in requests.items()}

    def of_clip(self, requests: dict[str, list[Request]]) -> dict[str, Any]:
        """CLIP's choice of the prompt among those of all kinds ("any") and of the same kind ("alike")."""
        if self.clip is None:
            return {}
        prompts = {kind: [request.prompt for request in own] for kind, own in requests.items()}
        every = list(chain(*prompts.values()))
        return {
            kind: {
                name: figures.right_caption(self.clip, self.drawn[kind], own, others, self.seed)
                for name, others in (("any", every), ("alike", own))
            }
            for kind, own in prompts.items()
        }

    def of_maps(self) -> dict[str, Any]:
        """Share of elements' words whose map is strongest inside the element's exact mask."""
        return {
            "pointing_t400": {
                kind: figures.rates(measure.pointing(self.model, exam, self.count), elements(kind))
                for kind, exam in self.exams.items()
            }
        }

    def of_degrees(self, studio: measure.Studio) -> dict[str, Any]:
        """Agreement of a degree's words with the degrees read, on prompts that differ in this word only."""
        each, size = max(2, self.count // 10), self.model.size
        steps = {kind: ladders(kind, self.seed, each, size) for kind in KINDS}
        graded: dict[str, Any] = {}
        for kind, own in steps.items():
            prompts = [prompt for ladder in own for prompt in ladder.prompts]
            seeds = [number for number, ladder in enumerate(own) for _ in ladder.prompts]
            ordered = measure.orders(prompts, self.steps, seeds, (LADDER_GUIDANCE,))
            images = studio.draw(ordered, f"degrees, {kind}")
            graded[kind] = figures.graded(self.judge, images, own)
        return {"graded_words": graded}

    def of_combinations(self, studio: measure.Studio) -> dict[str, Any]:
        """Agreement of samples with held-out combinations of attributes."""
        each = max(2, self.count // 16)
        by_kind: dict[str, Any] = {}
        for kind in KINDS:
            requests = combined(kind, self.seed, each, self.model.size)
            images = draw(studio, requests, self.steps, f"new combinations, {kind}")
            by_kind[kind] = figures.combinations(self.judge, images, requests)
        return {"new_combinations": by_kind}

    def of_edits(self, studio: measure.Studio) -> dict[str, Any]:
        """Edits of exact pairs with a generous mask, by Blended Latent Diffusion with its defaults."""
        drawn = world_cases(KINDS, max(EDITS_SHOWN, self.count // 2), self.seed, self.model.size)
        cases = [case for case in drawn if figures.can_be_read(case)]
        pictures = studio.each(measure.edit_case, list(zip(cases, range(len(cases)), strict=True)), "edits")
        self.edits = list(zip(cases, pictures, strict=True))
        by_kind: dict[str, Any] = {}
        for kind in KINDS:
            own = [(case, picture) for case, picture in self.edits if case.kind == kind]
            by_kind[kind] = figures.edited(self.judge, [p for _, p in own], [case for case, _ in own])
        return {"masked_edits": by_kind}


def draw(
    studio: measure.Studio, requests: dict[str, list[Request]], steps: int, title: str
) -> dict[str, Tensor]:
    """A picture for every request, by name; seeds and guidance scales continue from name to name."""
    prompts = [request.prompt for own in requests.values() for request in own]
    images = studio.draw(measure.orders(prompts, steps), title)
    parts = images.split([len(own) for own in requests.values()])
    return dict(zip(requests, parts, strict=True))


def compact(found: dict[str, Any]) -> str:
    """JSON with each figure on one line."""
    text = json.dumps(found, indent=1)
    return re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)


def seconds_a_sample(model: StableDiffusion, steps: int, times: int = 3) -> float:
    """Median wall-clock time of a single picture, with torch's default number of threads."""
    order = measure.orders(["a photo of a castle"], steps, guidance=(4.0,))[0]
    taken: list[float] = []
    for _ in range(times):
        start = time.monotonic()
        measure.sample(model, order)
        taken.append(time.monotonic() - start)
    return round(sorted(taken)[times // 2], 2)


def provenance(work: Path, bundle: Path, model: StableDiffusion, note: str | None) -> dict[str, Any]:
    """The origin of the bundle, from `work`, else from earlier figures."""
    path = bundle / "figures.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    trained = training_record(work) or before.get("training", {})
    return {
        "size": model.size,
        "machine": machine(torch.device("cpu")),  # the device of loaded bundles
        "pictures": trained.get("diffusion", {}).get("pictures") or before.get("pictures", 0),
        "training": trained,
        "notes": note_of(note, trained, before),
        "parts": {
            name: {"class": type(n).__name__, "parameters": sum(p.numel() for p in n.parameters())}
            for name, n in model.networks.items()
        },
    }


def training_record(work: Path) -> dict[str, dict[str, Any]]:
    """How each part of the model was trained in `work`."""
    states = {part: load_checkpoint(work / f"{part}.pt") for part in PARTS}
    return {part: record(state) for part, state in states.items() if state is not None}


def edits_sheet(edits: Sequence[tuple[Case, NDArray[np.float32]]]) -> Image.Image:
    """A grid of before, mask and after: for each kind the first edits of different attributes."""
    shown: dict[tuple[str, str], tuple[Case, NDArray[np.float32]]] = {}
    for case, picture in edits:
        if sum(kind == case.kind for kind, _ in shown) < EDITS_SHOWN:
            shown.setdefault((case.kind, case.attribute), (case, picture))
    rows: list[list[NDArray[np.floating[Any]]]] = [
        [case.source.transpose(2, 0, 1) / 255.0 for case, _ in shown.values()],
        [np.broadcast_to(case.mask / 255.0, (3, *case.mask.shape)) for case, _ in shown.values()],
        [picture for _, picture in shown.values()],
    ]
    return sheet(rows, [case.edit for case, _ in shown.values()])
