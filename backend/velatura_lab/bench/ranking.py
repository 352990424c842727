"""`velatura bench ranking`: whether the first of ranked edits is right, and the cost of ranking."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from velatura.methods.registry import registry
from velatura.models.catalogue import EMBEDDED_ID, entries
from velatura.models.store import ModelStore
from velatura.samples import SAMPLES
from velatura.weights.device import choose
from velatura_lab.evaluation.cases import Case, to_images
from velatura_lab.evaluation.editors import MethodEditor, Unwatched, laid_over, layers_of
from velatura_lab.readers import load_judge

GOAL = 0.15  #: the most time of ranking, as a share of the time of the ranked edits


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if the goal is missed."""
    parser = argparse.ArgumentParser(prog="velatura bench ranking", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--edits", default="hat,glasses,beard", help="of the sample, with commas between")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each edit")
    parser.add_argument("--variations", type=int, default=4, help="of a run, 2 to 8")
    parser.add_argument("--device", default=choose())
    chosen = parser.parse_args(argv)
    figures = measure(chosen.edits.split(","), chosen.seeds, chosen.variations, chosen.device)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


def measure(edits: Sequence[str], seeds: int, variations: int, device: str) -> dict[str, Any]:
    """For each edit the number of runs, of runs with any variation that the judge reads as right, and of runs
    whose first variation is right; and the median seconds of edits and of ranking."""
    with tempfile.TemporaryDirectory() as folder:
        models = ModelStore(entries(folder), device)
    judge = load_judge()
    editor = MethodEditor(registry()["blended-latent-diffusion"], models, EMBEDDED_ID, {"guidance": 3.0})
    samples = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
    found: dict[str, dict[str, int]] = {}
    clocks: list[tuple[float, float]] = []
    for name in edits:
        case, expected = sample_case(samples, name), samples["edits"][name]["expect"]
        rows: list[tuple[bool, bool]] = []
        for seed in range(0, 1000 * seeds, 1000):
            request, blobs = editor.request(case, range(seed, seed + variations))
            clock = _Clock()
            layers = layers_of(request, blobs, models, clock)
            clocks.append(clock.spans())
            pictures = np.stack([laid_over(case.source, layer.raster, layer.data) for layer in layers])
            readings = judge.read(to_images(pictures))
            right = [all(r.values.get(key) == v for key, v in expected.items()) for r in readings]
            first = next(right[layer.index] for layer in layers if layer.place and layer.place.rank == 0)
            rows.append((any(right), first))
        found[name] = {
            "runs": len(rows),
            "any_right": sum(any_right for any_right, _ in rows),
            "first_right": sum(first for _, first in rows),
        }
    took = [statistics.median(column) for column in zip(*clocks[1:] or clocks, strict=True)]  # one warms up
    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "variations": variations,
        "edits": found,
        "seconds": {"edits": took[0], "ranking": took[1]},
        "ratio": statistics.median(ranking / edits for edits, ranking in clocks[1:] or clocks),
        "goal": GOAL,
    }


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    took = figures["seconds"]
    return "\n".join(
        [
            f"{figures['variations']} variations a run; {figures['device']}, {figures['threads']} threads",
            *(
                f"{name:10} the first is as asked in {row['first_right']} of {row['runs']} runs,"
                f" any of them in {row['any_right']}"
                for name, row in figures["edits"].items()
            ),
            f"edits {took['edits']:.2f} s, ranking {took['ranking']:.2f} s: {figures['ratio']:.3f} of them"
            f" (goal: at most {figures['goal']})",
        ]
    )


class _Clock(Unwatched):
    """Hooks of a run that note the beginning of its ranking."""

    def __init__(self) -> None:
        self.began, self.ranking = time.perf_counter(), 0.0

    def progress(self, stage: str, step: int, steps: int, fraction: float) -> None:
        """See `Hooks`. Loading the model is no part of the edits' time."""
        if stage == "Loading the model":
            self.began = time.perf_counter()
        if stage == "Ranking" and not self.ranking:
            self.ranking = time.perf_counter()

    def spans(self) -> tuple[float, float]:
        """Seconds before ranking, and of ranking."""
        return self.ranking - self.began, time.perf_counter() - self.ranking


def sample_case(samples: dict[str, Any], name: str) -> Case:
    """An edit of the sample portrait, whose exact result is unknown."""
    edit = samples["edits"][name]
    source = np.array(Image.open(SAMPLES / samples["portrait"]["file"]).convert("RGB"))
    mask = np.array(Image.open(SAMPLES / edit["mask"]).convert("L"))
    return Case(
        id=name,
        kind="portrait",
        edit=name,
        source=source,
        target=None,
        source_prompt=samples["portrait"]["caption"],
        target_prompt=edit["prompt"],
        source_words="",
        target_words="",
        region=mask.astype(np.float32) / 255.0,
        mask=mask,
    )
