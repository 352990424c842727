"""The Python reference: a page for each package, with the docstrings of its modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def pages(package: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of the page of every package in a package's folder, itself first.

    Leaves out modules whose names begin with an underscore, and those without a docstring.
    """
    for init in sorted(package.rglob("__init__.py")):
        inside = init.parent.relative_to(package.parent).parts
        if any(part.startswith("_") for part in inside):
            continue
        name = ".".join(inside)
        modules = [path for path in sorted(init.parent.glob("*.py")) if not path.name.startswith("_")]
        parts = [f"# {name}", docstring(init)]
        parts += [f"::: {name}.{path.stem}" for path in modules if docstring(path)]
        if len(parts) > 2 or parts[1]:
            yield name, "\n\n".join(parts) + "\n"


def modules(package: Path) -> set[str]:
    """Return the modules that the pages of a package's folder describe."""
    lines = (line for _, text in pages(package) for line in text.splitlines())
    return {line.removeprefix("::: ") for line in lines if line.startswith("::: ")}


def docstring(path: Path) -> str:
    """Return a module's docstring without importing it."""
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
