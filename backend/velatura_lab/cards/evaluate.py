"""Measure the exported bundle on scenes that no training step saw; write figures, card and pictures."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from velatura.companions.clip import Encoder
from velatura.models.model import Model
from velatura_lab.cards.card import note_of, record, write_card
from velatura_lab.evaluation.cases import Case, world_cases
from velatura_lab.evaluation.encoders import home_made
from velatura_lab.evaluation.session import machine
from velatura_lab.exam import figures, measure
from velatura_lab.exam.asked import Request, combined, ladders, of_exam
from velatura_lab.exam.assess import Exam
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
    """All figures from `count` prompts of each kind; about eight minutes for 64 on two cores.

    work: where the bundle was trained, for what the card says of that.  look: whether to write `look.png`,
    renders and samples of the same captions one above the other.  note: for the card, how training went; as
    before if None.
    """
    readers = home_made()
    if readers.judge is None:
        raise FileNotFoundError("no judge to read pictures with; run `velatura train judge` and `readers`")
    model = measure.load_bundle(bundle)
    exams = {kind: Exam(seed, 2 * count, kind, model.size) for kind in tqdm(KINDS, "rendering", unit="kind")}
    examination = Examination(model, readers.judge, readers.clip, exams, seed, count, steps)
    studio = measure.Studio(bundle, processes)
    try:
        found = examination.run(studio)
    finally:
        studio.close()
    found |= {
        "seconds_a_sample": seconds_a_sample(model, steps),
        **provenance(work, bundle, model, note),
    }
    written = sections(found)
    (bundle / "figures.json").write_text(compact(found) + "\n")
    write_card(bundle, found | {"sections": written})
    samples = [images[:SHOWN].numpy() for images in examination.drawn.values()]
    save_small(sheet(samples), bundle / "samples.png")
    save_small(edits_sheet(examination.edits), bundle / "edits.png")
    if look:
        renders = [exam.images[:SHOWN].numpy() for exam in exams.values()]
        rows = list(chain(*zip(renders, samples, strict=True)))
        save_small(sheet(rows), bundle / "look.png", 2 * MOST_BYTES)
    print("\n\n".join(written))


@dataclass
class Examination:
    """One run.  drawn: the samples by kind; edits: cases and what came of them; both for the grids."""

    model: Model
    judge: Judge
    clip: Encoder | None
    exams: dict[str, Exam]
    seed: int
    count: int
    steps: int
    drawn: dict[str, Tensor] = field(default_factory=dict)
    edits: list[tuple[Case, Any]] = field(default_factory=list)

    def run(self, studio: measure.Studio) -> dict[str, Any]:
        """All figures of pictures."""
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
        """PSNR, and what the judge reads before and after."""
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
        """What prompts say and samples show: by attribute, with few steps, by guidance, and through CLIP."""
        asked = {kind: of_exam(exam, self.count) for kind, exam in self.exams.items()}
        half = {kind: requests[: max(1, self.count // 2)] for kind, requests in asked.items()}
        self.drawn = draw(studio, asked, self.steps, f"samples, {self.steps} steps")
        few = draw(studio, half, FEW_STEPS, f"samples, {FEW_STEPS} steps")
        every, images = list(chain(*asked.values())), torch.cat(list(self.drawn.values()))
        scales = islice(cycle(measure.GUIDANCES), len(every))
        return {
            "attributes_as_prompted": self.by_kind(figures.prompted, self.drawn, asked),
            f"attributes_as_prompted_{FEW_STEPS}_steps": self.by_kind(figures.prompted, few, half),
            "nothing_unasked": self.by_kind(figures.unasked, self.drawn, asked),
            "as_prompted_by_guidance": figures.by_guidance(self.judge, images, every, scales),
            "clip_right_caption": self.of_clip(asked),
            "prompts": {kind: [r.prompt for r in requests[:SHOWN]] for kind, requests in asked.items()},
        }

    def by_kind(self, function: Any, images: dict[str, Tensor], asked: dict[str, list[Request]]) -> Any:
        return {kind: function(self.judge, images[kind], requests) for kind, requests in asked.items()}

    def of_clip(self, asked: dict[str, list[Request]]) -> dict[str, Any]:
        """The right caption of several: among those of all kinds ("any"), and of the same ("alike")."""
        if self.clip is None:
            return {}
        prompts = {kind: [request.prompt for request in requests] for kind, requests in asked.items()}
        every = list(chain(*prompts.values()))
        return {
            kind: {
                name: figures.right_caption(self.clip, self.drawn[kind], own, others, self.seed)
                for name, others in (("any", every), ("alike", own))
            }
            for kind, own in prompts.items()
        }

    def of_maps(self) -> dict[str, Any]:
        """How often the map of an element's word is strongest inside the element's exact mask."""
        return {
            "pointing_t400": {
                kind: figures.rates(measure.pointing(self.model, exam, self.count), elements(kind))
                for kind, exam in self.exams.items()
            }
        }

    def of_degrees(self, studio: measure.Studio) -> dict[str, Any]:
        """Prompts that differ in the word of a degree only, with the same seed."""
        each, size = max(2, self.count // 10), self.model.size
        steps = {kind: ladders(kind, self.seed, each, size) for kind in KINDS}
        found = {}
        for kind, own in steps.items():
            prompts = [prompt for ladder in own for prompt in ladder.prompts]
            seeds = [number for number, ladder in enumerate(own) for _ in ladder.prompts]
            ordered = measure.orders(prompts, self.steps, seeds, (LADDER_GUIDANCE,))
            images = studio.draw(ordered, f"degrees, {kind}")
            found[kind] = figures.graded(self.judge, images, own)
        return {"graded_words": found}

    def of_combinations(self, studio: measure.Studio) -> dict[str, Any]:
        """What training never saw together."""
        each, found = max(2, self.count // 16), {}
        for kind in KINDS:
            asked = combined(kind, self.seed, each, self.model.size)
            images = draw(studio, asked, self.steps, f"new combinations, {kind}")
            found[kind] = figures.combinations(self.judge, images, asked)
        return {"new_combinations": found}

    def of_edits(self, studio: measure.Studio) -> dict[str, Any]:
        """Exact pairs of the world, with a generous mask, by Blended Latent Diffusion with its defaults."""
        drawn = world_cases(KINDS, max(EDITS_SHOWN, self.count // 2), self.seed, self.model.size)
        cases = [case for case in drawn if figures.can_be_read(case)]
        pictures = studio.each(measure.edit_case, list(zip(cases, range(len(cases)), strict=True)), "edits")
        self.edits = list(zip(cases, pictures, strict=True))
        found = {}
        for kind in KINDS:
            own = [(case, picture) for case, picture in self.edits if case.kind == kind]
            found[kind] = figures.edited(self.judge, [p for _, p in own], [case for case, _ in own])
        return {"masked_edits": found}


def draw(
    studio: measure.Studio, asked: dict[str, list[Request]], steps: int, title: str
) -> dict[str, Tensor]:
    """A picture for every request, under its name; seeds and guidance scales go on from name to name."""
    prompts = [request.prompt for requests in asked.values() for request in requests]
    images = studio.draw(measure.orders(prompts, steps), title)
    parts = images.split([len(requests) for requests in asked.values()])
    return dict(zip(asked, parts, strict=True))


def compact(found: dict[str, Any]) -> str:
    """JSON with each figure on one line."""
    text = json.dumps(found, indent=1)
    return re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)


def seconds_a_sample(model: Model, steps: int, times: int = 3) -> float:
    """Wall-clock time of one picture alone, with as many threads as torch takes by itself; the median."""
    order = measure.orders(["a photo of a castle"], steps, guidance=(4.0,))[0]
    taken = []
    for _ in range(times):
        start = time.monotonic()
        measure.sample(model, order)
        taken.append(time.monotonic() - start)
    return round(sorted(taken)[times // 2], 2)


def provenance(work: Path, bundle: Path, model: Model, note: str | None) -> dict[str, Any]:
    """Where the bundle comes from; what `work` does not tell is taken from figures written before."""
    path = bundle / "figures.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    trained = training_record(work) or before.get("training", {})
    return {
        "size": model.size,
        "machine": machine(torch.device("cpu")),  # where bundles are loaded to
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


def edits_sheet(edits: Sequence[tuple[Case, Any]]) -> Any:
    """Before, mask and after: of each kind the first edits of different attributes, none picked by eye."""
    shown: dict[tuple[str, str], tuple[Case, Any]] = {}
    for case, picture in edits:
        if sum(kind == case.kind for kind, _ in shown) < EDITS_SHOWN:
            shown.setdefault((case.kind, case.attribute), (case, picture))
    rows = [
        [case.source.transpose(2, 0, 1) / 255.0 for case, _ in shown.values()],
        [np.broadcast_to(case.mask / 255.0, (3, *case.mask.shape)) for case, _ in shown.values()],
        [picture for _, picture in shown.values()],
    ]
    return sheet(rows, [case.edit for case, _ in shown.values()])
