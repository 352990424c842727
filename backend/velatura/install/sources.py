"""The source files of the plugins and of the protocol package, in the installed wheel or in the checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import velatura
import velatura_protocol
from velatura_protocol.errors import VelaturaError

PACKAGE = Path(velatura.__file__).resolve().parent
PROTOCOL = Path(velatura_protocol.__file__).resolve().parent
NAMES = {"krita": "velatura_krita", "gimp": "velatura_gimp"}
LEFT_OUT = frozenset({"__pycache__"})


@dataclass(frozen=True)
class Plugin:
    """A host's plugin.

    name: the name of its folder. files: pairs of a place beneath the plugins' folder and a source file. The
    place of an action file of Krita is its bare name; `copy.located` gives its real folder.
    """

    name: str
    files: tuple[tuple[str, Path], ...]


def plugin(host: str) -> Plugin:
    """Return the files of a host's plugin, which include the protocol package.

    Raises VelaturaError `internal` when this installation lacks them.
    """
    name, folder = NAMES[host], _folder(host)
    if folder is None:
        sentence = "This installation of Velatura has no plugins; install the package again."
        raise VelaturaError("internal", sentence, detail=str(PACKAGE))
    files = [(f"{name}/{place}", file) for place, file in _tree(folder / name)]
    files += [(f"{name}/velatura_protocol/{place}", file) for place, file in _tree(PROTOCOL)]
    beside = [folder / f"{name}{ending}" for ending in (".desktop", ".action")]
    files += [(file.name, file) for file in beside if file.is_file()]
    return Plugin(name, tuple(sorted(files)))


def is_held(host: str) -> bool:
    """Return whether this installation holds the host's plugin."""
    return _folder(host) is not None


def _folder(host: str) -> Path | None:
    folders = (PACKAGE / "_plugins" / host, PACKAGE.parents[1] / f"plugin_{host}")
    return next((place for place in folders if (place / NAMES[host]).is_dir()), None)


def _tree(folder: Path) -> list[tuple[str, Path]]:
    return [
        (file.relative_to(folder).as_posix(), file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not LEFT_OUT & set(file.parts)
    ]
