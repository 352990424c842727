"""`velatura dials`: dials saved under names, on the command line or in an editor, and kept sliders."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

from velatura.cli import exits, kept
from velatura.cli.methods import offered
from velatura_protocol.catalogue import Catalogue
from velatura_protocol.dials import about
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.presets import KEPT, Presets, export_to, import_from
from velatura_protocol.schema import Field


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(run=run, action="list", json=False)
    for action, words, summary in (
        ("list", (), "list the names of saved dials and of the sliders that a model has"),
        ("show", ("name",), "print the dials of a name, for `velatura edit --set dials=…`"),
        ("rename", ("name", "title"), "give a kept slider another name"),
        ("import", ("file",), "save the dials, or keep the slider, of a shared file"),
        ("export", ("name", "file"), "write the dials or the slider of a name to a file for others"),
        ("delete", ("name",), "delete the dials or the slider of a name"),
    ):
        command = actions.add_parser(
            action,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            aliases=["remove"] if action == "delete" else [],
        )
        command.set_defaults(action=action)
        for word in words:
            command.add_argument(word, metavar=word.upper())


def run(options: argparse.Namespace) -> int:
    """Run the action and print its outcome."""
    folder = state_dir(options.state_dir)
    presets, action = Presets(folder), options.action or "list"
    if action == "list":
        if presets.names():
            field = _field(folder)
            for name in presets.names():
                print(f"{name:28} {_about(presets, name, field)}")
        for line in kept.lines(folder):
            print(line)
    elif action == "import":
        if kept.is_file_of_one(options.file):
            shelf = kept.shelf(folder)
            print(KEPT.format(shelf.entry(shelf.take(Path(options.file))).title))
        else:
            print(KEPT.format(presets.add_from(options.file, _field(folder)).name))
    elif action != "rename" and _is_there(presets, options.name):
        _with_saved(action, presets, options, folder)
    else:
        _with_kept(action, options, folder, presets)
    return exits.OK


def _with_saved(action: str, presets: Presets, options: argparse.Namespace, folder: Path) -> None:
    """Show, export or delete the dials of a name."""
    if action == "delete":  # even dials that fit no method
        presets.delete(options.name)
    elif action == "show":
        print(json.dumps(named(presets, options.name, _field(folder)), ensure_ascii=False))
    else:
        export_to(options.file, options.name, named(presets, options.name, _field(folder)))


def _with_kept(action: str, options: argparse.Namespace, folder: Path, presets: Presets) -> None:
    """Show, rename, export or delete a kept slider. Raises `bad-request`, which lists the names, for an
    unknown one."""
    entry, shelf = kept.named(folder, options.name), kept.shelf(folder)
    if entry is None:
        usable = [one for one in shelf.entries() if action in ("show", "export") or not one.shipped]
        raise _unknown(options.name, [*presets.names(), *(one.title for one in usable)])
    if action == "delete":
        shelf.remove(entry.id)
    elif action == "rename":
        shelf.rename(entry.id, options.title)
    elif action == "show":
        print(kept.shown(entry))
    else:
        shelf.export(entry.id, Path(options.file))


def named(presets: Presets, name: str, field: Field) -> list[dict[str, Any]]:
    """The dials of a name. Raises `bad-request`, which lists the names, for an unknown one."""
    _need(presets, name)
    return presets.load(name, field)


def named_or_shared(folder: Path, text: str, field: Field) -> list[dict[str, Any]]:
    """The dials of a file or of a name. Raises `bad-request`.

    Args:
        folder: the state directory.
        text: the path of a file or, where there is no such file, a name.
        field: the method's group of dials.
    """
    file, presets = Path(text), Presets(folder)
    with contextlib.suppress(RuntimeError):  # `~` of a user without a home
        file = file.expanduser()
    if file.is_file():
        return import_from(file, field).dials
    if not _is_there(presets, text):
        names = presets.names()
        others = f", or one of these names: {', '.join(names)}" if names else "; no names are saved yet"
        raise VelaturaError(
            "bad-request",
            f"There is no file '{text}', and no dials are saved as '{text}'; "
            f"give the path of the file{others}.",
        )
    return presets.load(text, field)


def _is_there(presets: Presets, name: str) -> bool:
    return any(presets.same(name, there) for there in presets.names())


def _need(presets: Presets, name: str) -> None:
    """Raises `bad-request`, which lists the names, where no dials are saved under this one."""
    if not _is_there(presets, name):
        raise _unknown(name, presets.names())


def _unknown(name: str, names: list[str]) -> VelaturaError:
    listed = f"there are: {', '.join(names)}" if names else "none are saved yet"
    return VelaturaError("bad-request", f"No dials are saved as '{name}'; {listed}.")


def _about(presets: Presets, name: str, field: Field) -> str:
    """A line about the dials of a name, or the reason why they do not fit."""
    try:
        return about(presets.load(name, field))
    except VelaturaError as error:
        return f"does not fit: {error.hint or error.message}"


def _field(folder: Path) -> Field:
    """The group of the first method that has dials. Raises `unknown-method` where there is none."""
    methods = Catalogue.from_wire(offered(folder)).methods
    field = next((method.dials for method in methods if method.dials is not None), None)
    if field is None:
        raise VelaturaError("unknown-method", "No method of this daemon has dials; update Velatura.")
    return field
