"""The parts of the training as commands: what each is called, takes and runs.  Imports no torch by itself."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

SCRATCH = "scratch"
PICTURES = {"cpu": 24_000, "gpu": 100_000}

ABOUT = """\
train, export and measure the embedded model, part by part

The parts in their order:
  pictures     draw the training set; every part does so itself on first use
  autoencoder  pictures <-> latents
  decoder      finish the autoencoder's decoder, with its encoder held
  diffusion    text encoder and denoising network, on the latents
  judge, clip, segmenter, identity
               readers of pictures, which choose and measure; at any time, segmenter after clip and
               identity after judge
  readers      write a bundle of each trained reader, with its figures and card
  export       write the model's bundle from the last checkpoints
  evaluate     measure the model on held-out scenes; writes figures and the model card

Everything is kept under --work and can be interrupted at any time: drawing goes on where it was, and a part
that is run again goes on from its last checkpoint (at most two minutes old).  --stop-after ends a call early
in good order.  A fresh part begins with the weights of the bundle that ships, where they fit;
`--from scratch` does not.  --profile cpu trains at 128 pixels in about 75 minutes on two cores,
--profile gpu at 256 pixels on one card.
`velatura train PART --help` lists a part's options.
"""


@dataclass(frozen=True)
class Part:
    """A trained part: where its worker is, what it does, learning rate, minutes and batch by profile."""

    module: str
    function: str
    text: str
    rate: float
    minutes: dict[str, float]
    batch: dict[str, int]


TRAINED: dict[str, Part] = {
    "autoencoder": Part(
        "autoencoder",
        "train_autoencoder",
        "train the autoencoder between pictures and latents",
        1e-3,
        {"cpu": 16.0, "gpu": 6.0},
        {"cpu": 4, "gpu": 64},
    ),
    "decoder": Part(
        "decoder",
        "train_decoder",
        "finish the autoencoder's decoder, with its encoder held",
        5e-4,
        {"cpu": 4.0, "gpu": 2.0},
        {"cpu": 4, "gpu": 64},
    ),
    "diffusion": Part(
        "diffusion",
        "train_diffusion",
        "train text encoder and denoising network",
        4e-4,
        {"cpu": 45.0, "gpu": 14.0},
        {"cpu": 8, "gpu": 192},
    ),
    "judge": Part(
        "judge",
        "train_judge",
        "train the reader of attributes",
        2e-3,
        {"cpu": 5.0, "gpu": 2.0},
        {"cpu": 64, "gpu": 256},
    ),
    "clip": Part(
        "clip",
        "train_clip",
        "train the reader that tells how well words fit a picture",
        1e-3,
        {"cpu": 12.0, "gpu": 4.0},
        {"cpu": 64, "gpu": 512},
    ),
    "segmenter": Part(
        "segmenter",
        "train_segmenter",
        "train the reader that finds what words name; after clip",
        1.5e-3,
        {"cpu": 12.0, "gpu": 3.0},
        {"cpu": 16, "gpu": 256},
    ),
    "identity": Part(
        "identity",
        "train_identity",
        "train the reader that tells people apart; after judge",
        2e-3,
        {"cpu": 5.0, "gpu": 2.0},
        {"cpu": 64, "gpu": 256},
    ),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the parts and their options."""
    parser.description = ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, part in TRAINED.items():
        command = _add(parts, name, part.text)
        command.set_defaults(work_on=_train)
        _options(command, part)
        if name == "diffusion":
            command.add_argument(
                "--school",
                type=int,
                default=400,
                help="steps of the text encoder's schooling before (%(default)s)",
            )
    pictures = _add(parts, "pictures", "draw the training set (done by itself)")
    pictures.set_defaults(work_on=_pictures)
    _set_options(pictures)
    pictures.add_argument("--processes", type=int, default=2, help="one a core (%(default)s)")
    tokenizer = _add(parts, "tokenizer", "build the tokenizer from the captions' vocabulary (done by itself)")
    tokenizer.set_defaults(work_on=_tokenizer)
    readers = _add(parts, "readers", "write a bundle of each trained reader, with figures and card")
    readers.set_defaults(work_on=_readers)
    readers.add_argument("--count", type=int, default=400, help="held-out scenes to measure on (%(default)s)")
    readers.add_argument("--bundles", type=Path, help="folder of all bundles (default: the package's own)")
    export = _add(parts, "export", "write the model's bundle from the last checkpoints")
    export.set_defaults(work_on=_export)
    evaluate = _add(parts, "evaluate", "measure the model on held-out scenes; writes figures and pictures")
    evaluate.set_defaults(work_on=_evaluate)
    evaluate.add_argument("--count", type=int, default=64, help="prompts of each kind of scene (%(default)s)")
    evaluate.add_argument("--steps", type=int, default=25, help="sampling steps (%(default)s)")
    evaluate.add_argument("--processes", type=int, default=2, help="one a core (%(default)s)")
    evaluate.add_argument(
        "--look",
        action="store_true",
        help="write look.png: exact pictures above samples of their captions",
    )
    for command in (export, evaluate):
        command.add_argument("--bundle", type=Path, help="the model's folder (default: the package's own)")


def _add(parts: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    command = parts.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument(
        "--work", type=Path, required=True, help="folder for pictures and checkpoints, outside the repository"
    )
    command.add_argument(
        "--seed", type=int, default=7, help="seed of scenes, networks and sampling (%(default)s)"
    )
    return command


def _set_options(command: argparse.ArgumentParser) -> None:
    profiles = tuple(PICTURES)
    command.add_argument("--profile", choices=profiles, default="cpu", help="sizes and machine (%(default)s)")
    command.add_argument("--pictures", type=int, help=f"size of the training set {_defaults(PICTURES)}")


def _options(command: argparse.ArgumentParser, part: Part) -> None:
    _set_options(command)
    add = command.add_argument
    add("--device", help="where to train, as torch names it (default: the profile's)")
    add("--minutes", type=float, help=f"train this long in all {_defaults(part.minutes)}")
    add("--samples", type=int, help="train on this many pictures in all, instead of --minutes")
    add("--stop-after", type=float, metavar="MINUTES", help="end this call then; run it again to go on")
    add("--processes", type=int, help="data-parallel processes, one a core (default: cpu 2, gpu 1)")
    add("--batch", type=int, help=f"pictures a step and process {_defaults(part.batch)}")
    add("--rate", type=float, default=part.rate, help="learning rate (%(default)s)")
    add(
        "--from",
        dest="start",
        metavar="BUNDLE",
        help=f"bundle a fresh run begins with, or {SCRATCH!r} (default: the one in the package)",
    )


def _defaults(values: dict[str, float] | dict[str, int]) -> str:
    return "(default: " + ", ".join(f"{name} {value:g}" for name, value in values.items()) + ")"


def run(given: argparse.Namespace) -> int:
    """Do what `configure`'s options ask for."""
    given.work.mkdir(parents=True, exist_ok=True)
    given.work_on(given)
    return 0


def _or(given: object, default: object) -> object:
    return default if given is None else given


def _train(given: argparse.Namespace) -> None:
    from .data import load_dataset
    from .export import BUNDLE
    from .loop import Options, launch
    from .networks import PROFILES

    part, profile = TRAINED[given.part], PROFILES[given.profile]
    options = Options(
        work=given.work,
        seed=given.seed,
        minutes=_or(given.minutes, part.minutes[profile.name]),
        samples=given.samples,
        pictures=_or(given.pictures, PICTURES[profile.name]),
        processes=_or(given.processes, profile.processes),
        batch=_or(given.batch, part.batch[profile.name]),
        rate=given.rate,
        school=getattr(given, "school", 0),
        stop_after=given.stop_after,
        start=None if given.start == SCRATCH else Path(_or(given.start, BUNDLE)),
        profile=replace(profile, device=_or(given.device, profile.device)),
    )
    # drawn before the training's processes start
    load_dataset(options.work, options.seed, options.pictures, options.drawers, profile.size)
    launch(getattr(import_module(f".{part.module}", __package__), part.function), options)


def _pictures(given: argparse.Namespace) -> None:
    from .data import load_dataset
    from .networks import PROFILES

    count = _or(given.pictures, PICTURES[given.profile])
    load_dataset(given.work, given.seed, count, given.processes, PROFILES[given.profile].size)


def _tokenizer(given: argparse.Namespace) -> None:
    from .tokenizer import write_tokenizer

    write_tokenizer(given.work / "tokenizer")


def _export(given: argparse.Namespace) -> None:
    from .export import BUNDLE, export_bundle

    export_bundle(given.work, _or(given.bundle, BUNDLE))


def _readers(given: argparse.Namespace) -> None:
    from .readers import BUNDLES, export_readers

    done = export_readers(given.work, _or(given.bundles, BUNDLES), given.seed, given.count)
    if not done:
        raise FileNotFoundError(f"no trained reader in {given.work}; run `velatura train judge` first")
    print("written:", ", ".join(done))


def _evaluate(given: argparse.Namespace) -> None:
    from .evaluate import evaluate
    from .export import BUNDLE

    evaluate(
        given.work,
        given.bundle or BUNDLE,
        given.seed,
        given.count,
        given.steps,
        given.processes,
        given.look,
    )
