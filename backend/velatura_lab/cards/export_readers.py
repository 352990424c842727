"""Bundles of the readers and of the VQ model: weights, figures on held-out scenes, and a card for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.vq_model import VQModel

from velatura.bundles import BUNDLES
from velatura_lab.exam import assess
from velatura_lab.exam.codes import assess_vq
from velatura_lab.exam.near import PORTRAIT_WORDS, assess_near, assess_words
from velatura_lab.readers import load_clip, load_clipseg, load_identity, load_judge
from velatura_lab.training.loop import load_checkpoint
from velatura_lab.world import KINDS

from .card import note_of, record
from .reader_cards import write_card

PARTS = ("judge", "clip", "segmenter", "identity", "vq")


def export_readers(
    work: Path, folder: Path = BUNDLES, seed: int = 7, count: int = 400, note: str | None = None
) -> list[str]:
    """Write a bundle, figures and card for every reader that was trained in `work`; return their names.

    Args:
        work: Folder of the training.
        folder: Parent of the bundles velatura-<part>.
        seed: Of the held-out scenes.
        count: Number of held-out scenes.
        note: The cards' note on the training; None keeps the earlier ones.
    """
    done: list[str] = []
    for part in PARTS:
        state = load_checkpoint(work / f"{part}.pt")
        if state is None:
            continue
        done.append(part)
        bundle = folder / f"velatura-{part}"
        getattr(import_module(f"velatura_lab.training.{part}"), f"export_{part}")(work, bundle)
        path = bundle / "figures.json"
        trained = record(state) | {"profile": state["profile"]}
        before = json.loads(path.read_text()) if path.exists() else {}
        measured = MEASURES[part](bundle, seed, count)
        figures: dict[str, Any] = {
            "training": trained,
            "notes": note_of(note, trained, before),
            "seed": seed,
            "count": count,
            "figures": measured,
        }
        if part == "identity":  # programs compare cosines with the threshold
            config = json.loads((bundle / "config.json").read_text())
            config["threshold"] = measured["threshold"]
            (bundle / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        path.write_text(json.dumps(figures, indent=1) + "\n")
        write_card(part, bundle, figures)
    return done


def _judge(bundle: Path, seed: int, count: int) -> dict[str, Any]:
    return assess.assess_judge(load_judge(bundle), assess.Exam(seed, count))


def _clip(bundle: Path, seed: int, count: int) -> dict[str, Any]:
    clip = load_clip(bundle)
    with torch.no_grad():
        return {
            "captions": assess.assess_clip(clip, assess.Exam(seed, count), seed),
            "targets": assess_near(clip, seed, max(1, count // 3)),
            "words": assess_words(clip, assess.Exam(seed, count, "portrait"), PORTRAIT_WORDS),
        }


def _segmenter(bundle: Path, seed: int, count: int) -> dict[str, Any]:
    exams = [assess.Exam(seed, max(1, count // 6), kind) for kind in KINDS]
    return assess.assess_segmenter(load_clipseg(bundle), exams)


def _identity(bundle: Path, seed: int, count: int) -> dict[str, Any]:
    return assess.assess_identity(load_identity(bundle), seed, max(2, count // 2))


def _vq(bundle: Path, seed: int, count: int) -> dict[str, Any]:
    return assess_vq(VQModel.from_pretrained(bundle).eval(), load_judge(), assess.Exam(seed, count))


MEASURES: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
    "judge": _judge,
    "clip": _clip,
    "segmenter": _segmenter,
    "identity": _identity,
    "vq": _vq,
}
