"""`velatura bench wire`, `words`, `flow` and others: measurements that anybody can repeat."""

from __future__ import annotations

import argparse
import importlib

_MODULES = {
    "wire": "wire",
    "words": "prompt_to_prompt",
    "flow": "flow",
    "ranking": "ranking",
    "guided": "guided",
    "faces": "faces",
    "models": "models",
    "resample": "resample",
    "files": "files",
}

SUMMARY = "measure"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    kinds = (
        "wire: a large layer to the daemon and back; words: an edit by words beside plain sampling; "
        "flow: two captions and a dial beside plain sampling; "
        "ranking: the sample's edits, ranked, beside making them; "
        "guided: concepts by dials, and painting into a selection with ranking and reconstruction, "
        "beside the published procedures; "
        "faces: sliders of faces, reading a face, and seeking a change beside the published loop; "
        "models: the families of models at real widths, beside diffusers' own pipelines; "
        "resample: enlarging a large picture in bands; "
        "files: an edit of a small selection of a large file, beside reading and writing the file"
    )
    parser.add_argument("what", choices=list(_MODULES), help=kinds)
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, help="options of the measurement; --help lists them"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measures and prints."""
    return importlib.import_module(f"velatura_lab.bench.{_MODULES[options.what]}").main(options.rest)
