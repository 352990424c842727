"""`python -m docs.generate --out FOLDER`: builds the reference pages and prints the path of the first."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docs.generate import site
from docs.generate.examples import NoExample
from docs.generate.texts import BrokenLink


def main() -> int:
    """Build the site; return the exit code."""
    parser = argparse.ArgumentParser(prog="docs.generate", description="Build the reference pages.")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder for pages and site"
    )
    parser.add_argument("--kept", type=Path, metavar="DIR", help="the cache of pictures; OUT/kept")
    parser.add_argument("--no-pictures", action="store_true", help="run no example")
    parser.add_argument("--strict", action="store_true", help="fail at a broken link")
    options = parser.parse_args()
    out = options.out.resolve()
    try:
        folder = site.build(
            out, kept=options.kept or out / "kept", pictures=not options.no_pictures, strict=options.strict
        )
    except (site.Failed, BrokenLink, NoExample) as error:
        print(error, file=sys.stderr)
        return 1
    print(folder / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
