"""Which commands there are: those of this package, and those that others offer by an entry point.

A package offers a command by an entry point of the group `velatura.commands`, whose name is the command's and
whose value a module with `SUMMARY` (a line for the help), `configure(parser)` and `run(options)`. The
laboratory's `train`, `evaluate` and `bench` come that way.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from types import ModuleType

from velatura.extensions.offers import offers

GROUP = "velatura.commands"

# A command's module is imported only when it is called: `velatura --help` has no need of picture libraries.
_OWN = {
    "edit": "edit a picture file, select in it or describe it",
    "demo": "show what Velatura does, on the portrait that ships",
    "dials": "list, show, share and forget dials that were saved",
    "methods": "list the methods, or the options of one",
    "models": "list, name, change and forget models",
    "install": "put the plugin into Krita or GIMP",
    "uninstall": "take the plugin out of Krita or GIMP",
    "doctor": "say what is wrong and how to mend it",
    "serve": "run the daemon in this terminal",
    "stop": "stop the daemon",
    "docs": "show the reference pages: how-tos, methods, Python",
}


@dataclass(frozen=True)
class Command:
    """A command: its line in the help, and what brings its module."""

    summary: str
    module: Callable[[], ModuleType]

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds its options, and as the default of `run` what runs it."""
        self.module().configure(parser)


def commands() -> dict[str, Command]:
    """Every command by its name, this package's first. One that cannot be imported is left out and logged."""
    found = {name: Command(summary, _importer(name)) for name, summary in _OWN.items()}
    for offer in offers(GROUP, _offered, "command").loaded:
        found.setdefault(offer.name, offer.value)
    return found


def _importer(name: str) -> Callable[[], ModuleType]:
    return lambda: importlib.import_module(f"velatura.cli.{name}")


def _offered(entry: EntryPoint) -> Command:
    module = entry.load()
    return Command(module.SUMMARY, lambda: module)
