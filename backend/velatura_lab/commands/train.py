"""`velatura train PART`: trains, exports and measures the embedded model.  Imports no torch by itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from velatura_lab.training.parts import MEASURING, PICTURES, SCRATCH, TRAINED, Option, Part, option

if TYPE_CHECKING:
    from velatura_lab.training.options import Options

T = TypeVar("T")
SUMMARY = "train the embedded model"
ABOUT = """\
train, export and measure the embedded model, part by part

The parts in their order:
  pictures     draw the training set (every part does this on first use)
  autoencoder  train the autoencoder, which turns pictures into latents and back
  decoder      train the autoencoder's decoder further, with a fixed encoder
  diffusion    train the text encoder and the denoising network on the latents
  judge, clip, segmenter, identity
               train the networks that read pictures, at any time; segmenter needs clip, and identity
               needs judge
  enlarger     train the network that enlarges a model's pictures, at any time
  export-enlarger
               write its bundle, figures and card
  pixels       train the diffusion model of portraits in pixel space, at any time
  export-pixels
               write its bundle, figures and card
  generator, encoder, segmentation
               train the style-based generator of portraits, then the networks that find a picture's code and
               the parts of a generated picture
  export-face  write their bundle, figures and card
  readers      write a bundle, figures and a card for each trained reader
  export       write the model's bundle from the last checkpoints
  evaluate     measure the model on new scenes; write figures and the model card

All files are under --work.  Any command can be interrupted and run again: drawing resumes, and training
resumes from the last checkpoint (at most two minutes old).  --stop-after saves and ends a call early.
To train a later part only, first run `autoencoder --samples 0`, which takes the autoencoder from the
package, with a larger decoder if the profile has one.  A fresh autoencoder, denoising network or judge
begins with the package's weights where they fit; `--from scratch` begins with random weights.
--profile cpu trains at 128 pixels, in about 75 minutes on two cores that compute in bfloat16;
--profile gpu trains at 256 pixels on one graphics card.
`velatura train PART --help` lists the options of a part.
"""


@dataclass(frozen=True)
class Command:
    """One `velatura train PART`: its help, its function and its options."""

    text: str
    work_on: Callable[[argparse.Namespace], None]
    options: tuple[Option, ...] = ()


def _defaults(values: Mapping[str, float]) -> str:
    return "(default: " + ", ".join(f"{name} {value:g}" for name, value in values.items()) + ")"


EVERYWHERE = (
    option("--work", "folder of pictures and checkpoints, outside the repository", type=Path, required=True),
    option("--seed", "seed of scenes, networks and samples (%(default)s)", default=7),
)


def _training_set(pictures: Mapping[str, int]) -> tuple[Option, ...]:
    return (
        option(
            "--profile",
            "network sizes for this kind of machine (%(default)s)",
            choices=tuple(pictures),
            default="cpu",
        ),
        option("--pictures", f"number of pictures in the training set {_defaults(pictures)}", type=int),
    )


CORES = option("--processes", "number of processes, best one for each core (%(default)s)", default=2)
MODEL = option("--bundle", "the model's folder (default: the package's own)", type=Path)
NOTE = option(
    "--note",
    "file with a note on the training for the card (default: the card's present note)",
    type=Path,
    metavar="FILE",
)


def _training(part: Part) -> tuple[Option, ...]:
    start = option(
        "--from",
        f"folder of the bundle whose weights a fresh run begins with, or {SCRATCH!r} for random weights "
        "(default: the package's bundle)",
        dest="start",
        metavar="BUNDLE",
    )
    return (
        *_training_set(part.pictures),
        option("--device", "device for training, as torch names it (default: the profile's)"),
        option(
            "--minutes", f"minutes of training in all, over all calls {_defaults(part.minutes)}", type=float
        ),
        option(
            "--samples",
            "end after this many pictures instead of after --minutes; 0 keeps the first weights unchanged. "
            "An interrupted run then resumes to the same weights bit for bit, if --processes stays the same",
            type=int,
        ),
        option(
            "--stop-after",
            "save and end this call after these minutes; run it again to resume",
            type=float,
            metavar="MINUTES",
        ),
        option(
            "--processes",
            "number of data-parallel processes, best one for each core (default: cpu 2, gpu 1)",
            type=int,
        ),
        option("--batch", f"pictures in a step of each process {_defaults(part.batch)}", type=int),
        option("--rate", "learning rate (%(default)s)", default=part.rate),
        *((start,) if part.start else ()),
        *part.more,
    )


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the parts and their options."""
    parser.set_defaults(run=run)
    parser.description = ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    trained = {name: Command(part.text, _train, _training(part)) for name, part in TRAINED.items()}
    for name, command in {**trained, **COMMANDS}.items():
        about = command.text[0].upper() + command.text[1:] + "."
        added = parts.add_parser(name, help=command.text, description=about)
        added.set_defaults(work_on=command.work_on)
        for flag, settings in (*EVERYWHERE, *command.options):
            added.add_argument(flag, **settings)


def run(given: argparse.Namespace) -> int:
    """Runs the command that `configure` has parsed."""
    given.work.mkdir(parents=True, exist_ok=True)
    given.work_on(given)
    return 0


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


def _text(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8").strip()


def _start(part: Part, given: str | None) -> Path | None:
    """The bundle whose weights a fresh run begins with; one that was given must have them."""
    from velatura.bundles import BUNDLES

    if not part.start or given == SCRATCH:
        return None
    name, _, file = part.start.partition("/")
    if given is None:
        return BUNDLES / name
    if not (Path(given) / file).exists():
        raise FileNotFoundError(
            f"no {file} in {given}; give --from the folder of a bundle like {name}, or {SCRATCH!r}"
        )
    return Path(given)


def options_of(given: argparse.Namespace) -> Options:
    """The options of a part's training, from its command line; raises FileNotFoundError as `_start` does."""
    from velatura_lab.training.networks import PROFILES
    from velatura_lab.training.options import Options

    part, profile = TRAINED[given.part], PROFILES[given.profile]
    return Options(
        work=given.work,
        seed=given.seed,
        minutes=_or(given.minutes, part.minutes[profile.name]),
        samples=given.samples,
        pictures=_or(given.pictures, part.pictures[profile.name]),
        processes=_or(given.processes, profile.processes),
        batch=_or(given.batch, part.batch[profile.name]),
        rate=given.rate,
        school=getattr(given, "school", 0),
        stop_after=given.stop_after,
        start=_start(part, getattr(given, "start", None)),
        profile=replace(profile, size=part.side or profile.size, device=_or(given.device, profile.device)),
        kind=part.kind,
    )


def _train(given: argparse.Namespace) -> None:
    from velatura_lab.training.data import load_dataset
    from velatura_lab.training.loop import launch

    options = options_of(given)
    # drawn before the training's processes start
    if TRAINED[given.part].pairs:
        from velatura_lab.training import near

        near.draw(options.work, options.seed, options.pictures, options.drawers)
    elif TRAINED[given.part].portraits:
        from velatura_lab.training.portraits import draw_all

        draw_all(options, textured_too=given.part == "encoder")
    elif TRAINED[given.part].details:
        from velatura_lab.training.details import draw

        draw(options.work, options.seed, options.pictures, options.drawers)
    else:
        load_dataset(
            options.work, options.seed, options.pictures, options.drawers, options.profile.size, options.kind
        )
    launch(getattr(import_module(f"velatura_lab.training.{given.part}"), f"train_{given.part}"), options)


def _pictures(given: argparse.Namespace) -> None:
    from velatura_lab.training.data import load_dataset
    from velatura_lab.training.networks import PROFILES

    count = _or(given.pictures, PICTURES[given.profile])
    load_dataset(given.work, given.seed, count, given.processes, PROFILES[given.profile].size)


def _tokenizer(given: argparse.Namespace) -> None:
    from velatura_lab.training.tokenizer import write_tokenizer

    write_tokenizer(given.work / "tokenizer")


def _export(given: argparse.Namespace) -> None:
    from velatura_lab.training.export import BUNDLE, export_bundle

    export_bundle(given.work, _or(given.bundle, BUNDLE))


def _readers(given: argparse.Namespace) -> None:
    from velatura.bundles import BUNDLES
    from velatura_lab.cards.export_readers import export_readers

    note = _text(given.note)
    done = export_readers(given.work, _or(given.bundles, BUNDLES), given.seed, given.count, note)
    if not done:
        raise FileNotFoundError(f"no trained reader in {given.work}; run `velatura train judge` first")
    print("written:", ", ".join(done))


def _export_pixels(given: argparse.Namespace) -> None:
    from velatura_lab.cards.pixels import BUNDLE, export

    export(given.work, _or(given.bundle, BUNDLE), given.seed, given.count, _text(given.note))


def _export_enlarger(given: argparse.Namespace) -> None:
    from velatura_lab.cards.enlarger import BUNDLE, export

    export(given.work, _or(given.bundle, BUNDLE), given.seed, given.count, _text(given.note))


def _export_face(given: argparse.Namespace) -> None:
    from velatura_lab.cards.faces import BUNDLE, export

    export(given.work, _or(given.bundle, BUNDLE), given.seed + 1, given.count, _text(given.note))


def _evaluate(given: argparse.Namespace) -> None:
    from velatura_lab.cards.evaluate import evaluate
    from velatura_lab.training.export import BUNDLE

    note = _text(given.note)  # before the work, so that a wrong name is told at once
    evaluate(
        given.work,
        given.bundle or BUNDLE,
        given.seed,
        given.count,
        given.steps,
        given.processes,
        given.look,
        note,
    )


COMMANDS = {
    "pictures": Command(
        "draw the training set (every part does this on first use)",
        _pictures,
        (*_training_set(PICTURES), CORES),
    ),
    "tokenizer": Command(
        "build the tokenizer from the captions' words (parts do this on first use)", _tokenizer
    ),
    "readers": Command(
        "write a bundle, figures and a card for each trained reader",
        _readers,
        (
            *MEASURING["readers"],
            option("--bundles", "parent folder of the bundles (default: the package's own)", type=Path),
            NOTE,
        ),
    ),
    "export": Command("write the model's bundle from the last checkpoints", _export, (MODEL,)),
    "export-pixels": Command(
        "write the bundle, figures and card of the model of pixel space",
        _export_pixels,
        (MODEL, option("--count", "number of held-out portraits (%(default)s)", default=200), NOTE),
    ),
    "export-enlarger": Command(
        "write the bundle, figures and card of the network that enlarges",
        _export_enlarger,
        (MODEL, option("--count", "number of held-out views (%(default)s)", default=60), NOTE),
    ),
    "export-face": Command(
        "write the bundle, figures and card of the style-based generator of portraits",
        _export_face,
        (MODEL, option("--count", "number of held-out portraits (%(default)s)", default=200), NOTE),
    ),
    "evaluate": Command(
        "measure the model on new scenes; write figures, pictures and the model card",
        _evaluate,
        (
            MODEL,
            *MEASURING["evaluate"],
            CORES,
            NOTE,
            option(
                "--look",
                "also write look.png, with exact pictures above samples of their captions",
                action="store_true",
            ),
        ),
    ),
}
