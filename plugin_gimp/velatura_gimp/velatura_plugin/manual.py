"""The page behind GIMP's help buttons, written from the schemas when GIMP asks for the procedures.

GIMP looks for `gimp-help.xml` in a folder named for the language; it says where the text of each help id is.
A help id is a procedure's name. Nothing here imports GIMP.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

from velatura_protocol.catalogue import Catalogue, MethodInfo

from . import form
from .form import Argument

DOMAIN = "velatura"
LANGUAGE = "en"  # GIMP takes English where it has no folder for the person's language
INDEX, PAGE = "gimp-help.xml", "velatura.html"

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Velatura in GIMP</title>
<style>body { font-family: sans-serif; max-width: 46em; margin: 2em auto; line-height: 1.5; padding: 0 1em }
h3 { margin-top: 2.5em } dt { font-weight: bold } dd { margin: 0 0 .6em 1.5em }</style></head><body>
<h1>Velatura in GIMP</h1>
"""


def write(folder: Path, known: Catalogue, others: Sequence[tuple[str, str, str]]) -> None:
    """Writes the page and its index below `folder`. A folder that cannot be written keeps what it has.

    others: (procedure, title, text) of the procedures that are no methods.
    """
    place = folder / LANGUAGE
    with contextlib.suppress(OSError):
        place.mkdir(exist_ok=True)
        (place / PAGE).write_text(page(known, others), "utf-8")
        (place / INDEX).write_text(index(known, others), "utf-8")


def index(known: Catalogue, others: Sequence[tuple[str, str, str]]) -> str:
    """The place of each help id."""
    ids = [(form.procedure_name(method), method.title) for method in known.offered]
    ids += [(name, title) for name, title, _ in others]
    items = [f'  <help-item id="{escape(name)}" ref="{PAGE}#{escape(name)}" title="{escape(title)}"/>'
             for name, title in ids]  # fmt: skip
    main = f'  <help-item id="gimp-help-main" ref="{PAGE}" title="Velatura"/>'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<gimp-help>", main, *items, "</gimp-help>"]
    return "\n".join(lines) + "\n"


def page(known: Catalogue, others: Sequence[tuple[str, str, str]]) -> str:
    """The page about all procedures."""
    parts = [_HEAD]
    for name, title, text in others:
        parts.append(f'<h3 id="{escape(name)}">{escape(title)}</h3>\n<p>{escape(text)}</p>\n')
    section = None
    for method in sorted(known.offered, key=lambda method: method.section):
        if method.section != section:
            section = method.section
            parts.append(f"<h2>{escape(section or 'More')}</h2>\n")
        parts.append(_method(method, form.arguments(method, known)))
    return "".join([*parts, "</body></html>\n"])


def _method(method: MethodInfo, arguments: Sequence[Argument]) -> str:
    name = form.procedure_name(method)
    source = f"<p>After {escape(method.source)}.</p>\n" if method.source else ""
    settings = "".join(
        f"<dt>{escape(argument.field.title)}</dt><dd>{escape(argument.field.description)}</dd>\n"
        for argument in arguments
    )
    return (
        f'<h3 id="{escape(name)}">{escape(method.title)}</h3>\n<p>{escape(method.summary)}</p>\n{source}'
        f"<dl>\n{settings}</dl>\n"
    )
