"""Puts a plugin into a profile and removes it: completely, and without touching anything else.

`install` makes the new copy in a folder of its own and moves it into place at the end, so that an interrupted
install leaves the older plugin. A manifest in the plugin's folder lists the installed files; `uninstall`
removes these, and the files that Python and the plugin have made beside them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from velatura.files.atomic import replacing
from velatura.install import krita_config
from velatura.install.profiles import Profile
from velatura.install.sources import NAMES, Plugin
from velatura_protocol.reading import as_list, as_object, text_of

MANIFEST = "velatura-manifest.json"
STAGE = ".velatura-install-"
EXECUTABLE = frozenset({"velatura_gimp/velatura_gimp.py"})  # without the bit GIMP skips a plug-in silently
ACTIONS = ".action"  # Krita reads these from another folder than plugins
MADE_BY_PLUGIN = ("registered.json", "en/gimp-help.xml", "en/velatura.html")  # by that for GIMP


@dataclass(frozen=True)
class Kritarc:
    """Krita's kritarc before the first install. undo: its switch. existed: whether the file existed."""

    undo: krita_config.Undo
    existed: bool

    @classmethod
    def from_json(cls, value: object) -> Kritarc | None:
        """Read what `to_json` made; None where it is no object."""
        fields = as_object(value)
        if fields is None:
            return None
        line = fields.get("line")
        undo = krita_config.Undo(
            line if isinstance(line, str) else None,
            bool(fields.get("group")),
            bool(fields.get("ended", True)),
        )
        return cls(undo, bool(fields.get("existed", True)))

    def to_json(self) -> dict[str, object]:
        """Return the object that the manifest holds."""
        return {**asdict(self.undo), "existed": self.existed}


@dataclass(frozen=True)
class Manifest:
    """The record of an installed plugin.

    version: Velatura's. files: places of the installed files, as in `Plugin.files`. kritarc: its state before
    the first install; None for GIMP.
    """

    version: str
    files: tuple[str, ...]
    kritarc: Kritarc | None

    def to_json(self) -> bytes:
        """Return the content of the manifest's file."""
        kritarc = self.kritarc.to_json() if self.kritarc else None
        return json.dumps(
            {"version": self.version, "files": self.files, "kritarc": kritarc}, indent=1
        ).encode()


def read_manifest(profile: Profile) -> Manifest | None:
    """Return the manifest of the installed plugin; None where there is none or it is damaged.

    Leaves out every place that does not lie beneath the plugins' folder.
    """
    try:
        content = json.loads((profile.plugins / NAMES[profile.host] / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    fields = as_object(content)
    files = fields and as_list(fields.get("files"))
    if fields is None or files is None:
        return None
    return Manifest(text_of(fields, "version"), tuple(_safe(files)), Kritarc.from_json(fields.get("kritarc")))


def located(profile: Profile, place: str) -> Path:
    """Return the path of a plugin's file. place: as in `Plugin.files` and in the manifest."""
    beside = "/" not in place and place.endswith(ACTIONS)
    return (profile.root / "actions" if beside else profile.plugins) / place


def install(profile: Profile, plugin: Plugin, extra: Mapping[str, bytes], version: str) -> None:
    """Put the plugin into a profile and switch it on in Krita.

    Args:
        profile: the profile.
        plugin: the plugin's files.
        extra: names and contents of further files for the plugin's folder.
        version: the version of Velatura, for the manifest.

    Raises OSError; an older plugin then stays as it was.
    """
    before = read_manifest(profile)
    profile.plugins.mkdir(parents=True, exist_ok=True)
    _recover(profile)
    kritarc = before.kritarc if before else None
    if profile.config is not None:
        kritarc = _switch_on(profile.config, kritarc)
    stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=profile.root))
    try:
        files = [place for place, _ in plugin.files] + [f"{plugin.name}/{name}" for name in extra]
        manifest = Manifest(version, (*files, f"{plugin.name}/{MANIFEST}"), kritarc)
        new = stage / "new"
        for place, source in plugin.files:
            _write(new / place, source.read_bytes(), place in EXECUTABLE)
        for name, content in {**extra, MANIFEST: manifest.to_json()}.items():
            _write(new / plugin.name / name, content, False)
        _make_newer(new, profile.plugins)
        _exchange(new, stage / "old", profile)
        _carry_over(stage / "old", profile, before.files if before else ())
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def uninstall(profile: Profile) -> bool:
    """Remove exactly the files that `install` put there; return whether there were any. Raises OSError."""
    manifest = read_manifest(profile)
    if manifest is None:
        return False
    name = NAMES[profile.host]
    if profile.config is not None and manifest.kritarc is not None:
        _switch_back(profile.config, manifest.kritarc)
    made = [f"{name}/{file}" for file in MADE_BY_PLUGIN]
    folders = {profile.plugins / name}
    for place in [*manifest.files, *made]:
        file = located(profile, place)
        file.unlink(missing_ok=True)
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()
        folders.add(file.parent)
    inside = [f for f in folders if f != profile.plugins]
    caches = [folder / "__pycache__" for folder in inside]
    for folder in sorted([*caches, *inside], key=lambda f: -len(f.parts)):
        with contextlib.suppress(OSError):  # not empty: it holds the person's own files
            folder.rmdir()
    return True


def is_enabled(profile: Profile) -> bool:
    """Return whether the host will load the plugin: GIMP always does, Krita when it is switched on."""
    return profile.config is None or krita_config.is_enabled(_content(profile.config))


def _write(path: Path, content: bytes, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if executable else 0o644)


def _make_newer(new: Path, plugins: Path) -> None:
    """Make the new files newer than the old: GIMP queries a plug-in again only after its time has changed.

    GIMP compares modification times in whole seconds.
    """
    for place in EXECUTABLE:
        with contextlib.suppress(FileNotFoundError):
            old = int((plugins / place).stat().st_mtime)
            when = max(time.time(), old + 1)
            os.utime(new / place, (when, when))


def _exchange(new: Path, old: Path, profile: Profile) -> None:
    """Move the files in `new` into the profile and those they replace to `old`; all of them or none."""
    old.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for part in sorted(new.iterdir()):
            target = located(profile, part.name)
            target.parent.mkdir(exist_ok=True)
            if target.exists() or target.is_symlink():
                target.rename(old / part.name)
                moved.append((old / part.name, target))
            part.rename(target)
            moved.append((target, part))
    except BaseException:
        for now, then in reversed(moved):
            now.rename(then)
        raise


def _recover(profile: Profile) -> None:
    """Put back the files that a killed install had moved away, and remove the folders it left."""
    for stage in profile.root.glob(f"{STAGE}*"):
        if (stage / "old").is_dir():
            for part in (stage / "old").iterdir():
                if not located(profile, part.name).exists():
                    part.rename(located(profile, part.name))
        shutil.rmtree(stage, ignore_errors=True)


def _carry_over(old: Path, profile: Profile, installed: Iterable[str]) -> None:
    """Keep the person's own files of the old copy. installed: the places of the others."""
    installed = frozenset(installed)
    for file in _files(old):
        place = file.relative_to(old)
        ours = (
            place.as_posix() in installed
            or file.suffix == ".pyc"
            or place.as_posix().endswith(MADE_BY_PLUGIN)
        )
        kept = located(profile, place.as_posix())
        if not ours and not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            file.rename(kept)


def _files(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _safe(places: Iterable[object]) -> Iterator[str]:
    """Yield the places that lie beneath the plugins' folder."""
    for place in places:
        if isinstance(place, str) and not place.startswith("/") and ".." not in PurePosixPath(place).parts:
            yield place


def _content(config: Path) -> bytes:
    try:
        return config.read_bytes()
    except FileNotFoundError:
        return b""


def _switch_on(config: Path, before: Kritarc | None) -> Kritarc:
    """Switch the plugin on; return the settings before the first install. before: those, where known."""
    existed = config.exists()
    content, undo = krita_config.enable(_content(config))
    _rewrite(config, content)
    return before or Kritarc(undo, existed)


def _switch_back(config: Path, before: Kritarc) -> None:
    if not config.exists():
        return
    content = krita_config.disable(_content(config), before.undo)
    if content or before.existed:
        _rewrite(config, content)
    else:
        config.unlink()


def _rewrite(config: Path, content: bytes) -> None:
    if config.exists() and config.read_bytes() == content:
        return
    config = config.resolve()  # a link stays a link
    config.parent.mkdir(parents=True, exist_ok=True)
    with replacing(config) as stream:
        stream.write(content)
