"""The parts of the training with their lengths, defaults and first weights.  Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCRATCH = "scratch"
PICTURES = {"cpu": 24_000, "gpu": 100_000}
Option = tuple[str, dict[str, Any]]  # the name and the keywords of argparse's add_argument


@dataclass(frozen=True)
class Part:
    """A part <name>, which `train_<name>` in the module <name> trains.

    Args:
        text: The part's help.
        rate: Learning rate.
        cpu: Minutes of training, and pictures in a step of each process, with the profile cpu.
        gpu: The same with the profile gpu.
        start: The package's bundle and its file whose weights a fresh run begins with; "" for random weights.
        more: Options of this part only.
        side: Side of its pictures in pixels; 0 for the profile's.
        kind: The kind of scene of its pictures; "" for all kinds.
        portraits: Number of the described portraits that it learns from; 0 for a part that learns from
            others.
        pairs: Number of the pairs of near pictures, likewise.
        details: Number of the near views, likewise.  A part without any of the three learns from the training
            set of pictures.
    """

    text: str
    rate: float
    cpu: tuple[float, int]
    gpu: tuple[float, int]
    start: str = ""
    more: tuple[Option, ...] = ()
    side: int = 0
    kind: str = ""
    portraits: int = 0
    pairs: int = 0
    details: int = 0

    @property
    def pictures(self) -> dict[str, int]:
        own = self.portraits or self.pairs or self.details
        return dict.fromkeys(PICTURES, own) if own else PICTURES

    @property
    def minutes(self) -> dict[str, float]:
        return {"cpu": self.cpu[0], "gpu": self.gpu[0]}

    @property
    def batch(self) -> dict[str, int]:
        return {"cpu": self.cpu[1], "gpu": self.gpu[1]}


def option(name: str, help: str, **keywords: Any) -> Option:
    """An option with keywords of argparse's add_argument; a number has the type of its default."""
    if isinstance(keywords.get("default"), int | float):
        keywords["type"] = type(keywords["default"])
    return name, {"help": help, **keywords}


SCHOOL = option("--school", "steps of pretraining of the text encoder (%(default)s)", default=400)
VAE, UNET = (f"velatura-mini/{part}/diffusion_pytorch_model.safetensors" for part in ("vae", "unet"))
JUDGE = "velatura-judge/judge.safetensors"
SEGMENTER = "velatura-segmenter/model.safetensors"  # its towers are those of a CLIP
PORTRAITS = 80_000
TRAINED = {
    "autoencoder": Part(
        "train the autoencoder between pictures and latents", 1e-3, (16.0, 4), (6.0, 64), VAE
    ),
    "decoder": Part("finish the autoencoder's decoder, with a fixed encoder", 5e-4, (4.0, 4), (2.0, 64)),
    "diffusion": Part(
        "train the text encoder and the denoising network", 4e-4, (45.0, 8), (14.0, 192), UNET, (SCHOOL,)
    ),
    "pixels": Part(
        "train the diffusion model of portraits in pixel space",
        6e-4,
        (36.0, 16),
        (5.0, 256),
        side=64,
        kind="portrait",
    ),
    "vq": Part("train the VQ model between pictures and codes", 8e-4, (31.0, 4), (6.0, 64)),
    "enlarger": Part(
        "train the network that enlarges a model's pictures", 1e-3, (35.0, 8), (4.0, 64), details=2_000
    ),
    "judge": Part("train the reader of attributes", 2e-3, (5.0, 64), (2.0, 256), JUDGE),
    "clip": Part(
        "train the reader that tells how well words fit a picture",
        5e-4,
        (105.0, 64),
        (8.0, 512),
        SEGMENTER,
        pairs=30_000,
    ),
    "segmenter": Part(
        "train the reader that finds the things named in words; after clip", 1e-3, (12.0, 16), (3.0, 256)
    ),
    "identity": Part("train the reader that tells people apart; after judge", 2e-3, (5.0, 64), (2.0, 256)),
    "generator": Part(
        "train the style-based generator of portraits, which learns what the renderer draws",
        3e-2,
        (58.0, 16),
        (6.0, 256),
        side=128,
        kind="portrait",
        portraits=PORTRAITS,
    ),
    "encoder": Part(
        "train the encoder that finds the generator's code of a picture; after generator",
        1e-3,
        (50.0, 32),
        (5.0, 256),
        side=128,
        kind="portrait",
        portraits=PORTRAITS,
    ),
    "segmentation": Part(
        "train the branch that finds the parts of a generated portrait; after generator, best after encoder",
        3e-3,
        (12.0, 8),
        (3.0, 64),
        side=128,
        kind="portrait",
        portraits=PORTRAITS,
    ),
}
#: Options of the commands that measure, by command; cards repeat those other than the defaults.
MEASURING: dict[str, tuple[Option, ...]] = {
    "readers": (option("--count", "number of held-out scenes (%(default)s)", default=400),),
    "evaluate": (
        option("--count", "number of prompts for each kind of scene (%(default)s)", default=64),
        option("--steps", "sampling steps (%(default)s)", default=25),
    ),
}
