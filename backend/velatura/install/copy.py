"""A plugin put into a profile and taken out of it: whole, and nothing else touched.

A new copy is made in a folder of its own and moved into place at the end, so that an interrupted install
leaves the plugin that was there. A manifest in the plugin's folder lists what was installed; only that, and
what Python and the plugin make of it, is taken out.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from velatura.files.atomic import replacing
from velatura.install import krita_config
from velatura.install.profiles import Profile
from velatura.install.sources import NAMES, Plugin

MANIFEST = "velatura-manifest.json"
STAGE = ".velatura-install-"
EXECUTABLE = frozenset({"velatura_gimp/velatura_gimp.py"})  # GIMP skips a plug-in without the bit silently
ACTIONS = ".action"  # Krita reads these from another folder than plugins
MADE_BY_PLUGIN = ("registered.json",)  # GIMP's, beside its methods.json


def read_manifest(profile: Profile) -> dict | None:
    """Return what was installed there, or None: {"version", "files", "kritarc"}."""
    try:
        manifest = json.loads((profile.plugins / NAMES[profile.host] / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) and isinstance(manifest.get("files"), list) else None


def located(profile: Profile, place: str) -> Path:
    """Return where a file of a plugin lies. place: as in `Plugin.files` and in the manifest."""
    beside = "/" not in place and place.endswith(ACTIONS)
    return (profile.root / "actions" if beside else profile.plugins) / place


def install(profile: Profile, plugin: Plugin, extra: Mapping[str, bytes], version: str) -> None:
    """Put the plugin and, in its folder, the `extra` files there; switch it on in Krita.

    Raises OSError; the plugin that was there is then still there.
    """
    before = read_manifest(profile)
    profile.plugins.mkdir(parents=True, exist_ok=True)
    _recover(profile, plugin.name)
    undo = (before or {}).get("kritarc")
    if profile.config is not None:
        undo = _switch_on(profile.config, undo)
    stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=profile.root))
    try:
        files = [place for place, _ in plugin.files] + [f"{plugin.name}/{name}" for name in extra]
        manifest = {"version": version, "files": [*files, f"{plugin.name}/{MANIFEST}"], "kritarc": undo}
        new = stage / "new"
        for place, source in plugin.files:
            _write(new / place, source.read_bytes(), place in EXECUTABLE)
        for name, content in {**extra, MANIFEST: json.dumps(manifest, indent=1).encode()}.items():
            _write(new / plugin.name / name, content, False)
        _seem_newer(new, profile.plugins)
        _exchange(new, stage / "old", profile)
        _carry_over(stage / "old", profile, before)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def uninstall(profile: Profile) -> bool:
    """Take out exactly what `install` put there; say whether there was anything. Raises OSError."""
    manifest = read_manifest(profile)
    if manifest is None:
        return False
    name = NAMES[profile.host]
    undo = manifest.get("kritarc")
    if profile.config is not None and isinstance(undo, dict):
        _switch_back(profile.config, undo)
    made = [f"{name}/{file}" for file in MADE_BY_PLUGIN]
    folders = {profile.plugins / name}
    for place in [*_safe(manifest["files"]), *made]:
        file = located(profile, place)
        file.unlink(missing_ok=True)
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()
        folders.add(file.parent)
    inside = [f for f in folders if f != profile.plugins]
    caches = [folder / "__pycache__" for folder in inside]
    for folder in sorted([*caches, *inside], key=lambda f: -len(f.parts)):
        with contextlib.suppress(OSError):  # not empty: it holds files of the person's own
            folder.rmdir()
    return True


def is_enabled(profile: Profile) -> bool:
    """Say whether the host will load the plugin: GIMP always does, Krita when it is switched on."""
    return profile.config is None or krita_config.is_enabled(_content(profile.config))


def _write(path: Path, content: bytes, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if executable else 0o644)


def _seem_newer(new: Path, plugins: Path) -> None:
    """GIMP asks a plug-in again only when its file has another modification time, in whole seconds."""
    for place in EXECUTABLE:
        with contextlib.suppress(FileNotFoundError):
            old = int((plugins / place).stat().st_mtime)
            os.utime(new / place, (max(time.time(), old + 1),) * 2)


def _exchange(new: Path, old: Path, profile: Profile) -> None:
    """Move what is in `new` into the profile and what stood in its place to `old`; all of it or nothing."""
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


def _recover(profile: Profile, name: str) -> None:
    """Put back what an install that was killed had moved away, and remove what it left."""
    for stage in profile.root.glob(f"{STAGE}*"):
        if (stage / "old").is_dir():
            for part in (stage / "old").iterdir():
                if not located(profile, part.name).exists():
                    part.rename(located(profile, part.name))
        shutil.rmtree(stage, ignore_errors=True)


def _carry_over(old: Path, profile: Profile, manifest: dict | None) -> None:
    """Keep files of the person's own that lay in the old copy."""
    installed = {*_safe((manifest or {}).get("files", []))}
    for file in _files(old):
        place = file.relative_to(old)
        ours = place.as_posix() in installed or file.suffix == ".pyc" or file.name in MADE_BY_PLUGIN
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


def _safe(places: list) -> Iterator[str]:
    """Yield the places of a manifest that lie beneath the plugins' folder."""
    for place in places:
        if isinstance(place, str) and not place.startswith("/") and ".." not in PurePosixPath(place).parts:
            yield place


def _content(config: Path) -> bytes:
    try:
        return config.read_bytes()
    except FileNotFoundError:
        return b""


def _switch_on(config: Path, before: object) -> dict:
    """Switch the plugin on; return what takes that back, of the first install where there were several."""
    existed = config.exists()
    content, undo = krita_config.enable(_content(config))
    _rewrite(config, content)
    return before if isinstance(before, dict) else {**asdict(undo), "existed": existed}


def _switch_back(config: Path, undo: dict) -> None:
    if not config.exists():
        return
    before = krita_config.Undo(undo.get("line"), bool(undo.get("group")), bool(undo.get("ended", True)))
    content = krita_config.disable(_content(config), before)
    if content or undo.get("existed", True):
        _rewrite(config, content)
    else:
        config.unlink()


def _rewrite(config: Path, content: bytes) -> None:
    if config.exists() and config.read_bytes() == content:
        return
    config = config.resolve()  # a link stays one
    config.parent.mkdir(parents=True, exist_ok=True)
    with replacing(config) as stream:
        stream.write(content)
