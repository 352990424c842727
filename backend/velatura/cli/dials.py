"""`velatura dials`: dials that were saved under a name, here or in an editor."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from velatura.cli import exits
from velatura.cli.methods import offered
from velatura.cli.values import dials_of
from velatura_protocol.dials import about
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.presets import Presets, export_to, import_from
from velatura_protocol.schema import Field


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(run=run, action="list", json=False)
    for action, words, summary in (
        ("list", (), "the names, and what the dials do"),
        ("show", ("name",), "the dials of a name, as `velatura edit --set dials=…` takes them"),
        ("import", ("file",), "keep the dials of a file that somebody shares"),
        ("export", ("name", "file"), "write the dials of a name to a file for others"),
        ("delete", ("name",), "forget a name"),
    ):
        command = actions.add_parser(action, help=summary, description=summary[0].upper() + summary[1:] + ".")
        for word in words:
            command.add_argument(word, metavar=word.upper())


def run(options: argparse.Namespace) -> int:
    """Do what is asked, and say what came of it."""
    folder = state_dir(options.state_dir)
    presets, action = Presets(folder), options.action or "list"
    field = _field(folder)
    if action == "list":
        for name in presets.names():
            print(f"{name:28} {about(presets.load(name, field))}")
    elif action == "show":
        print(json.dumps(named(presets, options.name, field), ensure_ascii=False))
    elif action == "import":
        print(f"Kept as {presets.add_from(options.file, field).name!r}.")
    elif action == "export":
        export_to(options.file, options.name, named(presets, options.name, field))
    else:
        named(presets, options.name, field)
        presets.delete(options.name)
    return exits.OK


def named(presets: Presets, name: str, field: Field) -> list[dict]:
    """The dials of that name. Raises `bad-request`, naming those there are."""
    names = presets.names()
    if not any(presets.same(name, there) for there in names):
        listed = f"there are: {', '.join(names)}" if names else "none are saved yet"
        raise VelaturaError("bad-request", f"No dials are saved as {name!r}; {listed}.")
    return presets.load(name, field)


def named_or_shared(folder: Path, text: str, field: Field) -> list[dict]:
    """The dials of a name, or of a file where there is one. Raises `bad-request`."""
    file = Path(text).expanduser()
    if file.is_file():
        return import_from(file, field).dials
    return named(Presets(folder), text, field)


def _field(folder: Path) -> Field:
    """The group of the first method that has dials. Raises `unknown-method` where there is none."""
    found = (dials_of(method) for method in offered(folder)["methods"])
    field = next((group for group in found if group is not None), None)
    if field is None:
        raise VelaturaError("unknown-method", "No method of this daemon has dials; update Velatura.")
    return field
