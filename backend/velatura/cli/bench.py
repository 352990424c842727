"""`velatura bench wire`, `words`, `ranking`: measurements that anybody can repeat."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    what = (
        "wire: a large layer to the daemon and back; words: an edit by words beside plain sampling; "
        "ranking: the sample's edits, ranked, beside making them"
    )
    parser.add_argument("what", choices=["wire", "words", "ranking"], help=what)
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, help="options of the measurement; --help lists them"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    if options.what == "wire":
        from velatura.bench import wire as measurement
    elif options.what == "ranking":
        from velatura.bench import ranking as measurement
    else:
        from velatura.bench import words as measurement
    return measurement.main(options.rest)
