"""Training of the judge, which reads the attributes of a picture to check a model's samples."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from velatura.companions.convolutions import CHANNELS
from velatura_lab.readers.judge import BUNDLE, Judge
from velatura_lab.readers.pictures import fit

from .augment import disturb, mirrored, shifted, sideless
from .data import load_dataset
from .labels import Labels, questions
from .loop import Trainer, load_checkpoint
from .networks import channels_last
from .options import Options
from .precision import mixed
from .warm import warm_start_judge


def train_judge(options: Options, rank: int) -> None:
    """Cross-entropy over all visible attributes, with label smoothing."""
    profile = options.profile
    data = load_dataset(options.work, options.seed, options.pictures, options.processes, profile.size)
    labels = Labels(data, rank, options.processes)
    data, targets = data.resident(options.device), labels.matrix.to(options.device)
    mirrors = sideless().to(options.device)
    torch.manual_seed(options.seed)
    judge = Judge(questions())
    warm_start_judge(judge, options.start)
    judge = channels_last(judge, options.device)
    trainer = Trainer("judge", judge, options, rank, decay=0.995, weight_decay=0.02)
    judge.train()
    while trainer.progress.running:
        pick = trainer.random().integers(len(labels.indices), size=options.batch)
        chosen = pick * options.processes + rank
        (images,) = mirrored(mirrors[data.kind(chosen)], fit(data.images(chosen)))
        images = shifted(disturb(images))
        with mixed(options.device):
            logits = torch.cat(judge(images.contiguous(memory_format=torch.channels_last)), 1)
        loss = labels.loss(logits, targets[pick])
        trainer.step(loss, {"loss": loss})
    trainer.save()


def export_judge(work: Path, folder: Path = BUNDLE) -> None:
    """Write averaged weights in half precision, and the judge's questions."""
    save_weights(work, "judge", folder)
    asked = [{"kind": q.kind, "name": q.name, "values": list(q.values)} for q in questions()]
    config = {"channels": list(CHANNELS), "questions": asked}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def save_weights(work: Path, part: str, folder: Path, prefix: str = "") -> None:
    """Write the averaged weights of a part's checkpoint as `<part>.safetensors`, in half precision.

    Args:
        work: Folder of the checkpoints.
        part: The part's name.
        folder: Where to write.
        prefix: Only weights whose names begin so are written, without it.

    Raises:
        FileNotFoundError: The part was not trained.
    """
    half = {
        name.removeprefix(prefix): value.half().contiguous()
        for name, value in averaged(work, part).items()
        if name.startswith(prefix)
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(half, folder / f"{part}.safetensors")
    (folder / f"{part}.safetensors").chmod(0o644)


def averaged(work: Path, part: str) -> dict[str, Tensor]:
    """The averaged weights of a part's checkpoint.

    Raises:
        FileNotFoundError: The part was not trained.
    """
    state = load_checkpoint(work / f"{part}.pt")
    if state is None:
        raise FileNotFoundError(f"no trained {part} in {work}; run `velatura train {part}` first")
    return {name: value for name, value in state["ema"].items() if value.is_floating_point()}
