"""Turns the texts beside the code into pages, with links to the other pages."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

PICTURES = {".png", ".jpg", ".jpeg", ".svg", ".webp"}
# Code is matched too, so that brackets in it are no link: `adapter[name](x)`.
_CODE_OR_LINK = re.compile(r"`[^`]*`|(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
_FENCE = re.compile(r"\s*(```|~~~)")
_FENCE_INFO = re.compile(r"^(\s*```\w+)[ ].*$", re.MULTILINE)  # of "json message" only "json" is a language
_CODE_OR_BRACKETS = re.compile(r"`[^`]*`|\]\[")
# A line that is neither an item nor indented, then an item.
_FIRST_ITEM = re.compile(r"^((?![-*+] |\d+[.)] |[ \n]).*)\n((?:[-*+]|\d+[.)]) )", re.MULTILINE)


class BrokenLink(Exception):
    """A link has no target; the message names the text and the link."""


def heading(text: str) -> str:
    """Return a page's first heading, or ''."""
    match = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return the text with `change` applied to every part outside its code blocks."""
    parts: list[str] = []
    lines: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        is_code = bool(fence or mark or line.startswith("    "))
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1] == fence:
            fence = ""
        if is_code:
            parts += [change("".join(lines)), line]
            lines = []
        else:
            lines.append(line)
    return "".join([*parts, change("".join(lines))])


def for_python_markdown(text: str) -> str:
    """Return the text for Python-Markdown: an empty line before lists, no brackets that look like links."""

    def change(part: str) -> str:
        part = _CODE_OR_BRACKETS.sub(lambda match: match[0] if match[0][0] == "`" else "]\\[", part)
        return _FIRST_ITEM.sub(r"\1\n\n\2", part)

    return outside_code(_FENCE_INFO.sub(r"\1", text), change)


class Links:
    """Points the links of texts to pages and copies the pictures of texts.

    Args:
        places: the page of each text, relative to `out`.
        moved: folders of the checkout, and their places in an installed package.
        out: the folder of the pages.
        strict: raise BrokenLink for a missing target; otherwise the link becomes plain text.
    """

    def __init__(
        self, places: Mapping[Path, str], moved: Mapping[Path, Path], out: Path, strict: bool
    ) -> None:
        self._moved = moved
        self._places = {path.resolve(): page for path, page in places.items()}
        self._out = out
        self._strict = strict

    def resolved(self, text: str, source: Path, page: str) -> str:
        """Return the text of the file `source` with links for its page `page`. Raises BrokenLink."""
        return outside_code(
            text, lambda part: _CODE_OR_LINK.sub(lambda link: self._link(link, source, page), part)
        )

    def _link(self, match: re.Match[str], source: Path, page: str) -> str:
        bang, label, target = match.groups()
        if target is None:  # code
            return match[0]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        name, hash_mark, anchor = target.partition("#")
        path = self._located((source.parent / name).resolve())
        place = self._places.get(path)
        if place is None and path.suffix.lower() in PICTURES and path.is_file():
            place = self._copied(path)
        if place is not None:
            return f"{bang}[{label}]({relative(place, page)}{hash_mark}{anchor})"
        if self._strict and not path.exists():
            raise BrokenLink(f"{source}: {target} does not exist")
        return label

    def _located(self, path: Path) -> Path:
        for before, after in self._moved.items():
            if path.is_relative_to(before) and not path.exists():
                return (after / path.relative_to(before)).resolve()
        return path

    def _copied(self, picture: Path) -> str:
        place = f"pictures/{picture.parent.name}-{picture.name}"
        (self._out / "pictures").mkdir(exist_ok=True)
        shutil.copyfile(picture, self._out / place)
        return place


def relative(place: str, page: str) -> str:
    """Return the link from `page` to `place`, both relative to the folder of the pages."""
    return os.path.relpath(place, os.path.dirname(page) or ".").replace(os.sep, "/")
