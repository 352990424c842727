"""Training of the identity encoder: near vectors for one person, distant ones for different people."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn

from velatura.companions.convolutions import CHANNELS
from velatura_lab.readers.identity import BUNDLE, DIMENSION, WIDTH, IdentityEncoder
from velatura_lab.readers.pictures import SIDE, fit
from velatura_lab.world import View, render, sample_scene
from velatura_lab.world.portrait.scene import SKINS

from .augment import disturb, shifted
from .data import KIND_NAMES, Dataset, load_dataset, world_digest
from .judge import averaged, save_weights
from .loop import Trainer
from .networks import channels_last
from .options import Options
from .precision import mixed
from .views import sample_view

VIEWS = 4  # portraits of each person
SHARE = 80  # pictures of the training set for each person
TEMPERATURE = 0.1
NEAR = 1.08  # least zoom of a view that cuts the portrait
GENTLE = 0.3  # strength of augmentation: faces differ by single pixels
ALIKE = 0.5  # share of batches of people of one sex and skin


def portrait_of(scene: Any, rng: np.random.Generator) -> Any:
    """The same person as in `scene` on another day.

    Hair, clothes, mood, framing, light and style are drawn anew; the age moves by a tenth at most.
    """
    other = sample_scene(rng, "portrait")
    age = min(max(scene.age + float(rng.uniform(-0.1, 0.1)), 0.0), 1.0)
    own = {name: getattr(scene, name) for name in ("person", "skin", "identity")}
    return replace(other, **own, age=age, beard=other.beard and scene.person == "man")


def draw_person(job: tuple[int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32], int]:
    """Portraits (views, 128, 128, 3) of a person, the face's `traits`, and a number for sex and skin.

    `job` is the seed, the person's number and the number of views.
    """
    seed, index, views = job
    rng = np.random.default_rng([seed, 31337, index])
    scene = sample_scene(rng, "portrait")
    pictures = [
        render(portrait_of(scene, rng), SIDE, View(0.0, 0.0, float(rng.uniform(0.96, 1.12)))).to_bytes()
        for _ in range(views)
    ]
    looks = ("man", "woman").index(scene.person) * 3 + SKINS.index(scene.skin)
    return np.stack(pictures), traits(scene), looks


def traits(scene: Any) -> NDArray[np.float32]:
    """The numbers (T,) in -1..1 of a face: its geometry without the seed of its texture, sex and skin."""
    names = [field.name for field in fields(scene.identity) if field.name != "texture"]
    sex, skin = (1.0 if scene.person == "man" else -1.0), SKINS.index(scene.skin) - 1.0
    return np.array([*(getattr(scene.identity, name) for name in names), sex, skin], np.float32)


def load_people(work: Path, seed: int, count: int, processes: int) -> dict[str, NDArray[Any]]:
    """`portraits` (count, VIEWS, 128, 128, 3) uint8, `traits` (count, T) and `looks` (count,) of people.

    They are drawn on first use and stored in `work`.
    """
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"people-{seed}-{count}-{world_digest()}.npz"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            jobs = [(seed, index, VIEWS) for index in range(count)]
            if processes == 1:
                drawn = [draw_person(job) for job in jobs]
            else:
                with multiprocessing.get_context("spawn").Pool(processes) as pool:
                    drawn = pool.map(draw_person, jobs, chunksize=8)
            columns = [np.stack(column) for column in zip(*drawn, strict=True)]
            part = path.with_suffix(".part.npz")
            np.savez(part, **dict(zip(("portraits", "traits", "looks"), columns, strict=True)))
            part.replace(path)
    with np.load(path) as content:
        return dict(content)


class Schooled(nn.Module):
    """The encoder, and a head for training only that reads the face's `traits`."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.encoder = IdentityEncoder()
        self.traits = nn.Linear(DIMENSION, count)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Portraits (N, 3, 128, 128) in 0..1 -> (unit vectors (N, 64), traits (N, T))."""
        vectors = self.encoder(images)
        return F.normalize(vectors.float(), dim=-1), self.traits(vectors).float()


def begin_with_judge(encoder: IdentityEncoder, state: dict[str, Tensor]) -> None:
    """Copy the convolutions of a trained judge, which detect the parts of faces."""
    own = encoder.state_dict()
    body = {key: value for key, value in state.items() if key in own and key.startswith("body.")}
    encoder.load_state_dict({**own, **body})


def pair_loss(first: Tensor, second: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """NT-Xent (Chen et al. 2020, eq. 1) of n pairs of unit vectors, `first` and `second` (n, d)."""
    vectors = torch.cat([first, second])
    n = len(first)
    cosines = (vectors @ vectors.T / temperature).fill_diagonal_(-1e4)
    partners = torch.arange(2 * n, device=vectors.device).roll(n)
    return F.cross_entropy(cosines, partners)


def pick_people(looks: NDArray[np.int64], rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Indices of at most `size` different people; the share ALIKE of batches is of one sex and skin."""
    if rng.random() < ALIKE:
        alike = np.flatnonzero(looks == looks[int(rng.integers(len(looks)))])
        if len(alike) >= min(size, 4):
            return rng.permutation(alike)[:size]
    return rng.permutation(len(looks))[:size]


def portraits_of(data: Dataset, rank: int, processes: int) -> NDArray[np.int64]:
    """Indices of a process's pictures that show a whole portrait with the face in view."""
    own = np.arange(rank, len(data), processes)
    own = own[np.array(data.kinds)[own] == KIND_NAMES.index("portrait")]
    return np.array([n for n in own if whole(data, int(n)) and "face" in data.visible(int(n))], np.int64)


def whole(data: Dataset, index: int) -> bool:
    """Whether a picture shows its whole scene."""
    rng = np.random.default_rng([data.seed, index])
    return sample_view(rng, sample_scene(rng)).zoom < NEAR


def train_identity(options: Options, rank: int) -> None:
    """NT-Xent on pairs of portraits, and regression of traits, also on portraits of the training set."""
    profile, device = options.profile, options.device
    data = load_dataset(options.work, options.seed, options.pictures, options.processes, profile.size)
    people = load_people(
        options.work, options.seed, max(4, options.pictures // SHARE), options.processes if rank == 0 else 1
    )
    mine = slice(rank, None, options.processes)
    portraits, faces, looks = (people[name][mine] for name in ("portraits", "traits", "looks"))
    others = portraits_of(data, rank, options.processes)
    known = torch.from_numpy(np.stack([traits(data.scene(int(i))) for i in others])) if len(others) else None
    torch.manual_seed(options.seed)
    network = Schooled(faces.shape[1])
    begin_with_judge(network.encoder, averaged(options.work, "judge"))
    network = channels_last(network, device)
    trainer = Trainer("identity", network, options, rank, decay=0.995, weight_decay=0.02)
    network.train()
    while trainer.progress.running:
        rng = trainer.random()
        pick = pick_people(looks, rng, max(2, options.batch // 8))
        views = np.stack([rng.permutation(VIEWS)[:2] for _ in pick])  # (n, 2)
        pairs = [torch.from_numpy(portraits[pick, views[:, side]]) for side in (0, 1)]
        images = torch.cat(pairs).permute(0, 3, 1, 2).float() / 255.0
        target = torch.from_numpy(faces[pick]).repeat(2, 1)
        if known is not None:
            more = rng.integers(len(others), size=3 * options.batch // 4)
            images = torch.cat([images, fit(data.images(others[more]).cpu())])
            target = torch.cat([target, known[more]])
        images, target = images.to(device), target.to(device)
        images = shifted(disturb(images, GENTLE))
        with mixed(device):
            vectors, read = network(images.contiguous(memory_format=torch.channels_last))
        first, second = vectors[: 2 * len(pick)].chunk(2)
        apart, named = pair_loss(first, second), F.mse_loss(read, target)
        trainer.step(0.1 * apart + 4.0 * named, {"pairs": apart, "traits": named})
    trainer.save()


def export_identity(work: Path, folder: Path = BUNDLE) -> None:
    """Write averaged weights in half precision, and the encoder's sizes."""
    save_weights(work, "identity", folder, "encoder.")
    config = {"channels": list(CHANNELS), "width": WIDTH, "dimension": DIMENSION}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
