"""The parts of the training: which there are, how long each trains, what it begins with.  No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCRATCH = "scratch"
PICTURES = {"cpu": 24_000, "gpu": 100_000}
Option = tuple[str, dict[str, Any]]  # a name and what argparse is told of it


@dataclass(frozen=True)
class Part:
    """What `train_<name>` in the module <name> trains.

    cpu, gpu: minutes of training, and pictures a step and process, with these profiles.  start: the bundle
    that ships and the file in it with whose weights a fresh run begins, "" if there is none.  more: options
    that no other part has.
    """

    text: str
    rate: float
    cpu: tuple[float, int]
    gpu: tuple[float, int]
    start: str = ""
    more: tuple[Option, ...] = ()

    @property
    def minutes(self) -> dict[str, float]:
        return {"cpu": self.cpu[0], "gpu": self.gpu[0]}

    @property
    def batch(self) -> dict[str, int]:
        return {"cpu": self.cpu[1], "gpu": self.gpu[1]}


def option(name: str, help: str, **told: Any) -> Option:
    """Numbers have the type of their default."""
    if isinstance(told.get("default"), int | float):
        told["type"] = type(told["default"])
    return name, {"help": help, **told}


SCHOOL = option("--school", "steps of the text encoder's schooling before (%(default)s)", default=400)
VAE, UNET = (f"velatura-mini/{part}/diffusion_pytorch_model.safetensors" for part in ("vae", "unet"))
JUDGE = "velatura-judge/judge.safetensors"
TRAINED = {
    "autoencoder": Part(
        "train the autoencoder between pictures and latents", 1e-3, (16.0, 4), (6.0, 64), VAE
    ),
    "decoder": Part("finish the autoencoder's decoder, with its encoder held", 5e-4, (4.0, 4), (2.0, 64)),
    "diffusion": Part(
        "train text encoder and denoising network", 4e-4, (45.0, 8), (14.0, 192), UNET, (SCHOOL,)
    ),
    "judge": Part("train the reader of attributes", 2e-3, (5.0, 64), (2.0, 256), JUDGE),
    "clip": Part("train the reader that tells how well words fit a picture", 1e-3, (12.0, 64), (4.0, 512)),
    "segmenter": Part(
        "train the reader that finds what words name; after clip", 1e-3, (12.0, 16), (3.0, 256)
    ),
    "identity": Part("train the reader that tells people apart; after judge", 2e-3, (5.0, 64), (2.0, 256)),
}
#: Options of the commands that measure, by the commands' names; cards repeat those that are not the defaults.
MEASURING: dict[str, tuple[Option, ...]] = {
    "readers": (option("--count", "held-out scenes to measure on (%(default)s)", default=400),),
    "evaluate": (
        option("--count", "prompts of each kind of scene (%(default)s)", default=64),
        option("--steps", "sampling steps (%(default)s)", default=25),
    ),
}
