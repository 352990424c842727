"""`velatura methods`: the methods and their options."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from velatura.cli import exits
from velatura.cli.inputs import describe_inputs
from velatura.client.connection import connected
from velatura.install.hostfiles import first_methods
from velatura_protocol.catalogue import Catalogue, MethodInfo, in_sections
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.schema import Field

METHODS = {"bash": "_velatura_methods", "zsh": "_velatura_methods", "tcsh": ""}
"""Marks an argument that takes a method's id, for the functions of `velatura completion`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("method", nargs="?", metavar="ID", help="show the options of this method")
    parser.add_argument("--json", action="store_true", help="print the protocol's answer as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the methods of the running daemon, or of this installation where none runs."""
    answer = offered(state_dir(options.state_dir))
    known = Catalogue.from_wire(answer)
    named = method_named(known, options.method) if options.method else None
    if options.json:
        methods = [method for method in answer["methods"] if named is None or method["id"] == named.id]
        print(json.dumps({"digest": answer["digest"], "methods": methods, "models": answer["models"]}))
    elif named is not None:
        _show(named)
    else:
        _list(known)
        print("\nFor the options of one: velatura methods ID")
    return exits.OK


def offered(folder: Path) -> dict[str, Any]:
    """Return the answer to `methods` (SPEC section 4). Starts no daemon. folder: the state directory."""
    try:
        with connected(folder, start=False) as client:
            return client.methods()
    except VelaturaError as error:
        if error.code != "not-running":
            raise
        return json.loads(first_methods(folder))


def method_named(known: Catalogue, identifier: str) -> MethodInfo:
    """Return the method of an id. Raises `unknown-method`, which lists the methods, for an unknown one."""
    for method in known.methods:
        if method.id == identifier:
            return method
    names = ", ".join(method.id for method in known.methods)
    raise VelaturaError("unknown-method", f"There is no method {identifier!r}; there are: {names}.")


def _list(known: Catalogue) -> None:
    for section in in_sections(known.methods):
        if section.title:
            print(f"{section.title}:")
        for method in section.methods:
            print(f"{'  ' if section.title else ''}{method.id:28} {method.title}: {method.summary}")


def _show(method: MethodInfo) -> None:
    print(f"{method.title} ({method.id}, version {method.version})")
    print(f"{method.summary}\nAfter: {method.source}")
    if method.section:
        print(f"Section: {method.section}")
    print(", ".join(f"{name}: {need}" for name, need in method.inputs.items()))
    if method.kind.insert == "texts":
        print("The result is text, the most likely first; leave out --out.\n")
    elif method.kind.insert == "selections":
        print("The result is masks, one for each thing that the method finds.\n")
    else:
        print(f"--variations 1 to {method.max_variations}\n")
    for line in describe_inputs(method):
        print(line)
    for field in method.fields:
        print(f"--set {field.key}=… {_range(field)}{'   (advanced)' if field.advanced else ''}")
        print(f"    {field.title}. {field.description}")


def _range(field: Field) -> str:
    if field.kind in ("integer", "number"):
        return f"{field.kind} from {field.minimum:g} to {field.maximum:g}, {field.default:g} by default"
    if field.kind == "boolean":
        return f"true or false, {str(field.default).lower()} by default"
    if field.kind == "enum":
        if any(not value for value, _ in field.choices):  # the other values are ids, as of kept sliders
            return " | ".join(title for value, title in field.choices if value)
        return f"{' | '.join(value for value, _ in field.choices)}, {field.default} by default"
    if field.kind == "group":
        keys = ", ".join(f"{inner.key} ({_range(inner)})" for inner in field.fields)
        words = "words of the prompt with commas between, or " if field.words else ""
        words = words or f"by --item {field.key}:key=value,… each, or "
        words = f"by --dial FROM=>TO:N each, --dials, {words}" if field.dials else words
        return f"{words}a JSON list of at most {field.max_items} objects with {keys}"
    if field.kind == "raster":
        return f"a file, {field.raster}"
    return f"text, {field.default!r} by default"
