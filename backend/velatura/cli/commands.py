"""The list of commands: those of this package, and those that other packages offer.

A package offers a command by an entry point of the group `velatura.commands`. The entry point's name is the
command's; its value is a module with `SUMMARY` (a line for the help), `configure(parser)` and `run(options)`.
The laboratory's `train`, `evaluate` and `bench` are such commands.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from types import ModuleType

from velatura.extensions.offers import Offers, Refused, loaded, offers, refuse

GROUP = "velatura.commands"

# A command's module is imported only when it is called, so that `velatura --help` imports no picture library.
_OWN = {
    "edit": "edit picture files, select in them or describe them",
    "jobs": "list, show, fetch, cancel and clear the edits that the daemon keeps",
    "show": "show how a result was made, from its file",
    "rerun": "run the recipe of a result again, and compare the pixels",
    "demo": "show every kind of edit on the portrait that comes with Velatura",
    "dials": "list, show, share, rename and delete saved dials and kept sliders",
    "methods": "list the methods, or the options of one",
    "models": "list, add, change, remove and convert models",
    "install": "install the plugin into Krita or GIMP",
    "uninstall": "remove the plugin from Krita or GIMP",
    "doctor": "find faults of this installation and say how to mend them",
    "mcp": "offer the methods to an assistant that speaks the Model Context Protocol",
    "forget": "delete what the daemon keeps: prompts, pictures and results",
    "serve": "run the daemon in this terminal",
    "stop": "stop the daemon",
    "logs": "show the daemon's log",
    "docs": "show the reference pages: how-tos, methods, Python",
    "completion": "print a script that completes commands and options in a shell",
    "help": "show the help of a command",
}
_MODULES = {"jobs": "jobs_command", "help": "help_command"}  #: where a module has another name


@dataclass(frozen=True)
class Command:
    """A command. summary: its line in the help. module: imports its module."""

    summary: str
    module: Callable[[], ModuleType]

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds its options to the parser, and its function as the default of `run`."""
        self.module().configure(parser)


def commands() -> dict[str, Command]:
    """Every command by its name, this package's first. Leaves out those that cannot be used."""
    own = {name: Command(summary, _importer(name)) for name, summary in _OWN.items()}
    return own | {offer.name: offer.value for offer in offered().loaded}


def refused() -> list[Refused]:
    """The commands of other packages that are left out."""
    return offered().refused


@cache
def offered() -> Offers[Command]:
    """The commands of other packages. One with a taken name is left out: the first one keeps it."""
    found = offers(GROUP, _offered, "command")
    result: Offers[Command] = Offers([], list(found.refused))
    taken = set(_OWN)
    for offer in found.loaded:
        if offer.name in taken:
            reason = "there is another command of this name"
            result.refused.append(refuse(f"The command {offer.name!r}", offer.package, reason))
        else:
            taken.add(offer.name)
            result.loaded.append(offer)
    return result


def _importer(name: str) -> Callable[[], ModuleType]:
    return lambda: importlib.import_module(f"velatura.cli.{_MODULES.get(name, name)}")


def _offered(entry: EntryPoint) -> Command:
    if entry.name.startswith("-") or len(entry.name.split()) != 1:
        raise ValueError(f"{entry.name!r} cannot be typed as a command")
    module = loaded(entry, texts=("SUMMARY",), functions=("configure", "run"))
    return Command(module.SUMMARY, lambda: module)
