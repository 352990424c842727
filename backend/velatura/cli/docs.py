"""`velatura docs`: builds the reference pages of this installation and shows them."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import subprocess
import sys
import webbrowser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import velatura
from velatura.cli import exits
from velatura.cli.interrupt import Interrupt
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir

#: Modules that build the pages, and their packages (the extra `docs` of pyproject.toml).
TOOLS = {"zensical": "zensical", "mkdocstrings_handlers.python": "mkdocstrings-python", "yaml": "pyyaml"}
PACKAGE = Path(velatura.__file__).resolve().parent


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the pages here and do not show them")
    parser.add_argument("--no-pictures", action="store_true", help="do not run the methods' examples")
    parser.add_argument("--strict", action="store_true", help="fail at a broken link")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Build the pages. Show them until Ctrl+C, unless --out names a folder for them."""
    root = next((p for p in (PACKAGE / "_docs", PACKAGE.parents[1]) if (p / "docs/generate").is_dir()), None)
    if root is None:
        raise VelaturaError("internal", "This installation of Velatura has no pages; install it again.")
    missing = [package for module, package in TOOLS.items() if not _is_there(module)]
    if missing:
        sentence = f"The pages need {' and '.join(missing)}; run `{sys.executable} -m pip install"
        raise VelaturaError("bad-request", f"{sentence} {' '.join(missing)}`, then this command again.")
    kept = state_dir(options.state_dir) / "docs"
    out = (options.out or kept).resolve()
    minutes = (
        "" if options.no_pictures else " The first time, each method edits the sample; this takes minutes."
    )
    print(f"Building the pages.{minutes}", flush=True)
    words = ["--out", str(out), "--kept", str(kept / "kept")]
    words += ["--no-pictures"] if options.no_pictures else []
    words += ["--strict"] if options.strict else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])}
    built = subprocess.run(
        [sys.executable, "-m", "docs.generate", *words], cwd=root, env=environment, stdout=subprocess.DEVNULL
    )
    if built.returncode:
        raise VelaturaError("internal", "The pages could not be built; the lines above say why.")
    if options.out:
        print(out / "site" / "index.html")
    else:
        _show(out / "site")
    return exits.OK


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is missing
        return False


def _show(site: Path) -> None:
    """Serve the pages to this computer only; their search does not work from files."""
    handler = functools.partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/index.html"
        print(f"{address}    (stop with Ctrl+C)", flush=True)
        webbrowser.open(address)
        server.timeout = 0.2  # seconds between two looks at whether to stop
        with Interrupt(None) as interrupt:
            while not interrupt.asked():
                server.handle_request()
        print()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing about requests."""
