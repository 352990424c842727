"""`python -m velatura.training PART`: train, export and measure the embedded model, part by part.

The order is: judge, autoencoder, decoder, diffusion, export, evaluate.  Pictures are drawn on first use.
Every part saves checkpoints under --work and goes on from the last one when it is run again.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from .loop import Options, Worker, launch

#: part -> (module, function, what it does, minutes, batch, learning rate)
TRAINED: dict[str, tuple[str, str, str, float, int, float]] = {
    "judge": ("judge", "train_judge", "train the reader of attributes", 3.0, 64, 2e-3),
    "autoencoder": (
        "autoencoder",
        "train_autoencoder",
        "train the autoencoder between pictures and latents",
        20.0,
        8,
        1e-3,
    ),
    "decoder": (
        "decoder",
        "train_decoder",
        "finish the autoencoder's decoder, with its encoder held",
        6.0,
        4,
        5e-4,
    ),
    "diffusion": ("diffusion", "train_diffusion", "train text encoder and denoising network", 65.0, 8, 5e-4),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m velatura.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", required=True)
    for name, (_, _, text, minutes, batch, rate) in TRAINED.items():
        part = parts.add_parser(
            name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        _common(part)
        part.add_argument(
            "--minutes", type=float, default=minutes, help="stop after this much training in all"
        )
        part.add_argument(
            "--samples",
            type=int,
            default=None,
            help="stop after this many pictures in all, instead of --minutes",
        )
        part.add_argument("--pictures", type=int, default=14000, help="size of the training set")
        part.add_argument("--processes", type=int, default=2, help="data-parallel processes, one a core")
        part.add_argument("--batch", type=int, default=batch, help="pictures a step and process")
        if name == "diffusion":
            part.add_argument(
                "--school", type=int, default=400, help="steps of the text encoder's first schooling"
            )
        part.add_argument("--rate", type=float, default=rate, help="learning rate")
    for name, text in (
        ("tokenizer", "build the tokenizer from the captions' vocabulary"),
        ("export", "write the bundle from the last checkpoints"),
        ("evaluate", "measure the exported bundle on held-out scenes; writes figures and pictures"),
    ):
        part = parts.add_parser(
            name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        _common(part)
        part.add_argument(
            "--bundle", type=Path, default=None, help="folder of the bundle (default: the one in the package)"
        )
        if name == "evaluate":
            part.add_argument("--count", type=int, default=96, help="prompts to sample")
            part.add_argument("--steps", type=int, default=25, help="sampling steps")
    return parser


def _common(part: argparse.ArgumentParser) -> None:
    part.add_argument(
        "--work", type=Path, required=True, help="folder for pictures and checkpoints, outside the repository"
    )
    part.add_argument("--seed", type=int, default=7, help="seed of scenes, networks and sampling")


def main(arguments: list[str] | None = None) -> None:
    given = build_parser().parse_args(arguments)
    if given.part in TRAINED:
        module, function, *_ = TRAINED[given.part]
        worker: Worker = getattr(import_module(f".{module}", __package__), function)
        options = Options(**{key: value for key, value in vars(given).items() if key != "part"})
        given.work.mkdir(parents=True, exist_ok=True)
        from .data import load_dataset

        load_dataset(
            options.work, options.seed, options.pictures, options.processes
        )  # drawn before the processes start
        launch(worker, options)
    elif given.part == "tokenizer":
        from .tokenizer import write_tokenizer

        write_tokenizer(given.work / "tokenizer" if given.bundle is None else given.bundle / "tokenizer")
    elif given.part == "export":
        from .export import BUNDLE, export_bundle
        from .judge import export_judge

        export_judge(given.work)
        export_bundle(given.work, given.bundle or BUNDLE)
    else:
        from .evaluate import evaluate
        from .export import BUNDLE

        evaluate(given.work, given.bundle or BUNDLE, given.seed, given.count, given.steps)


if __name__ == "__main__":
    main()
