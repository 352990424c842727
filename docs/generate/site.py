"""Gathers all pages in a folder, writes their configuration, and builds the site."""

from __future__ import annotations

import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from docs.generate import examples, methods, reference, texts

from velatura.methods.registry import describe, registry
from velatura_protocol.catalogue import MethodInfo, in_sections

ROOT = Path(__file__).resolve().parents[2]
#: Packages whose modules and decisions have pages; the first two are always there.
PACKAGES = ("velatura", "velatura_protocol", "velatura_lab")
REFERENCE = ("velatura_protocol", "velatura")
GUIDES = ("index", "krita", "gimp", "command-line", "python", "models")


class Failed(Exception):
    """The site could not be built; the message gives the reason."""


def package_folder(name: str) -> Path | None:
    """Return a package's folder without importing the package; None where it is not installed."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def decisions() -> dict[Path, str]:
    """Return the texts beside the code, each with the name of its page."""
    paths = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "protocol/SPEC.md")]
    paths += [*sorted(ROOT.glob("plugin_*/DESIGN.md")), ROOT / "docs/generate/DESIGN.md"]
    for folder in filter(None, map(package_folder, PACKAGES)):
        paths += sorted(
            p
            for n in ("DESIGN.md", "THREATS.md", "README.md")
            for p in folder.rglob(n)
            if "_docs" not in p.parts
        )
    places: dict[Path, str] = {}
    for path in filter(Path.is_file, paths):
        name = path.parent.name if path.name == "DESIGN.md" else path.stem
        name = path.parent.name if path.name == "README.md" and path.parent != ROOT else name
        place = f"decisions/{name.lower().replace('_', '-')}.md"
        if place in places.values():
            place = f"decisions/{path.parent.parent.name}-{name.lower()}.md"
        places[path] = place
    return places


def build(out: Path, *, kept: Path, pictures: bool, strict: bool) -> Path:
    """Build the site; return its folder.

    Args:
        out: a new folder, or that of an earlier build, whose pages are replaced.
        kept: the folder that caches the results of examples.
        pictures: whether to run each method's example with an embedded model.
        strict: whether a broken link is an error.

    Raises Failed, BrokenLink, NoExample.
    """
    mark = out / ".velatura-docs"
    if out.exists() and any(out.iterdir()) and not mark.exists():
        raise Failed(f"{out} holds other files, which a build could overwrite; name a new folder.")
    out.mkdir(parents=True, exist_ok=True)
    mark.touch()
    pages, site = out / "pages", out / "site"
    for folder in (pages, site):
        shutil.rmtree(folder, ignore_errors=True)
    pages.mkdir()
    shutil.copyfile(ROOT / "docs/pages.css", pages / "pages.css")
    navigation: list[dict[str, Any]] = [
        *_guides(pages, strict),
        {"Methods": list(_methods(pages, kept if pictures else None, out / "state"))},
        {"Python": list(_reference(pages))},
        {"How it is made": list(_decisions(pages, strict, lambda path: "bundles" not in path.parts))},
        {"Networks that ship": list(_decisions(pages, strict, lambda path: "bundles" in path.parts))},
    ]
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    settings |= {"docs_dir": pages.name, "site_dir": site.name, "nav": navigation}
    folders = [str(folder.parent) for folder in map(package_folder, REFERENCE) if folder]
    for plugin in settings["plugins"]:
        if isinstance(plugin, dict) and "mkdocstrings" in plugin:
            plugin["mkdocstrings"]["handlers"]["python"]["paths"] = sorted(set(folders))
    (out / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), "utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--config-file", str(out / "mkdocs.yml")]
    command += ["--strict"] if strict else []
    environment = os.environ | {"NO_COLOR": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ended.returncode or not (site / "index.html").is_file():
        raise Failed(f"{ended.stdout}\n{ended.stderr}".strip())
    return site


def _links(pages: Path, strict: bool) -> texts.Links:
    """Return the resolver of links to all pages."""
    names = [f"{name}.md" for name in GUIDES] + ["methods/index.md"]
    product = package_folder("velatura") or Path()
    moved = {ROOT / "backend": product.parent}
    moved |= {ROOT / f"plugin_{folder.name}": folder for folder in product.glob("_plugins/*")}
    return texts.Links(decisions() | {ROOT / "docs" / n: n for n in names}, moved, pages, strict)


def _guides(pages: Path, strict: bool) -> Iterator[dict[str, str]]:
    links = _links(pages, strict)
    for name in GUIDES:
        source = ROOT / "docs" / f"{name}.md"
        text = links.resolved(source.read_text("utf-8"), source, f"{name}.md")
        (pages / f"{name}.md").write_text(texts.for_python_markdown(text), "utf-8")
        yield {texts.heading(text): f"{name}.md"}


def _methods(
    pages: Path, kept: Path | None, state: Path
) -> Iterator[dict[str, str] | dict[str, list[dict[str, str]]]]:
    (pages / "methods").mkdir()
    (pages / "pictures").mkdir(exist_ok=True)
    described = [(MethodInfo.from_wire(describe(method)), type(method)) for method in registry().values()]
    referenced = {m for name in REFERENCE for m in reference.modules(package_folder(name) or Path())}
    known = [(method, cls) for method, cls in described if method is not None]
    (pages / "methods/index.md").write_text(methods.index([method for method, _ in known]), "utf-8")
    yield {"All": "methods/index.md"}
    try:
        for method, cls in known:
            has_example = examples.is_possible(method, cls.generator, cls.trait)
            own = cls.__module__ in referenced
            shown = _shown(method, kept, state, own) if kept and has_example else None
            if shown and shown.picture:
                shutil.copyfile(shown.picture, pages / "pictures" / shown.picture.name)
            docstring = cls.__dict__.get("__doc__") or sys.modules[cls.__module__].__doc__ or ""
            text = methods.page(
                method,
                cls.__module__,
                inspect.cleandoc(docstring),
                shown,
                has_example=has_example,
                has_reference=own,
            )
            (pages / f"methods/{method.id}.md").write_text(text, "utf-8")
    finally:
        if kept:
            examples.stop(state)
    for title, inner in in_sections(method for method, _ in known):
        yield {title: [{method.title: f"methods/{method.id}.md"} for method in inner]}


def _shown(method: MethodInfo, kept: Path, state: Path, own: bool) -> examples.Shown | None:
    """Return the result of an example. One that fails costs another package's method its picture only."""
    try:
        return examples.show(method, kept, state)
    except examples.NoExample as error:
        if own:
            raise
        print(f"There is no picture of {method.title!r}: {error}", file=sys.stderr)
        return None


def _reference(pages: Path) -> Iterator[dict[str, list[dict[str, str]]]]:
    (pages / "reference").mkdir()
    for package in REFERENCE:
        entries: list[dict[str, str]] = []
        for name, text in reference.pages(package_folder(package) or Path()):
            (pages / f"reference/{name}.md").write_text(text, "utf-8")
            entries.append({name: f"reference/{name}.md"})
        yield {package: entries}


def _decisions(pages: Path, strict: bool, wanted: Callable[[Path], bool]) -> Iterator[dict[str, str]]:
    (pages / "decisions").mkdir(exist_ok=True)
    links = _links(pages, strict)
    for source, place in decisions().items():
        if not wanted(source):
            continue
        text = links.resolved(source.read_text("utf-8"), source, place)
        (pages / place).write_text(texts.for_python_markdown(text), "utf-8")
        yield {source.stem if source.parent == ROOT else texts.heading(text) or source.parent.name: place}
