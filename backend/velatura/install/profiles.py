"""The folders where Krita and GIMP keep a person's files: functions of platform, environment and home.

Krita: `pykrita` in its resource folder and `kritarc` beside the desktop's settings (Krita's manual, "Resource
Management" and "Configuration"). GIMP: `plug-ins` in its profile, one profile for each minor version. An
AppImage uses the same folders as a native package; a Flatpak keeps its own beneath `~/.var/app`, except
that Flathub's GIMP is given the native `~/.config/GIMP` and uses that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from velatura_protocol.errors import VelaturaError

HOSTS = {"krita": "Krita", "gimp": "GIMP"}
FLATPAKS = {"krita": "org.kde.krita", "gimp": "org.gimp.GIMP"}


@dataclass(frozen=True)
class Profile:
    """One place where a host looks for plugins.

    Args:
        host: `krita` or `gimp`.
        title: its name for a person.
        root: the host's own folder, on the same file system as `plugins`.
        plugins: the folder of plugins.
        config: Krita's kritarc; None for GIMP.
        flatpak: whether the host runs in a Flatpak's sandbox.
    """

    host: str
    title: str
    root: Path
    plugins: Path
    config: Path | None = None
    flatpak: bool = False


@dataclass(frozen=True)
class Machine:
    """The facts that decide where profiles lie.

    Args:
        platform: as `sys.platform`.
        env: the environment.
        home: the home folder.
        which: as `shutil.which`.
    """

    platform: str
    env: Mapping[str, str]
    home: Path
    which: Callable[[str], str | None]


def find(host: str, machine: Machine) -> list[Profile]:
    """Return every profile of the host, native ones first.

    A host on PATH that was never started counts, too: `install` makes its folders.
    """
    profiles = _krita(machine) if host == "krita" else _gimp(machine)
    # The environment may name one folder twice.
    return list({profile.plugins: profile for profile in profiles}.values())


def named(host: str, folder: Path, machine: Machine) -> Profile:
    """Return the profile that a person names with --profile.

    Args:
        host: `krita` or `gimp`.
        folder: for Krita the resource folder, which holds or will hold `pykrita`, or the home folder above
            it; for GIMP the folder of `plug-ins`.
        machine: this machine.

    Raises VelaturaError `bad-request` for a file.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise VelaturaError("bad-request", f"{folder} is a file; name the folder of {HOSTS[host]}'s profile.")
    if host == "gimp":
        folder = folder.parent if folder.name == "plug-ins" else folder
        return Profile("gimp", f"GIMP in {folder}", folder, folder / "plug-ins")
    folder = folder.parent if folder.name == "pykrita" else folder
    for profile in find("krita", machine):
        if folder == profile.root:
            return profile
    home = folder
    if folder.parts[-3:] == (".local", "share", "krita"):
        home = folder.parents[2]
    if home != folder or (home / ".local/share/krita").is_dir() or (home / ".config").is_dir():
        return _krita_profile(f"Krita in {home}", home / ".local/share/krita", home / ".config/kritarc")
    if folder.parts[-2:] == ("data", "krita"):
        config = folder.parents[1] / "config" / "kritarc"
        return _krita_profile(f"Krita in {folder}", folder, config, flatpak=True)
    return _krita_profile(f"Krita in {folder}", folder, folder / "kritarc")


def _krita_profile(title: str, root: Path, config: Path, flatpak: bool = False) -> Profile:
    return Profile("krita", title, root, root / "pykrita", config, flatpak)


def _krita(machine: Machine) -> list[Profile]:
    env, home = machine.env, machine.home
    if machine.platform == "win32":
        roaming = _path(env, "APPDATA", home / "AppData/Roaming")
        local = _path(env, "LOCALAPPDATA", home / "AppData/Local")
        places = [("Krita", roaming / "krita", local / "kritarc", False)]
    elif machine.platform == "darwin":
        library = home / "Library"
        places = [("Krita", library / "Application Support/krita", library / "Preferences/kritarc", False)]
    else:
        data = _path(env, "XDG_DATA_HOME", home / ".local/share")
        config = _path(env, "XDG_CONFIG_HOME", home / ".config")
        sandbox = home / ".var/app" / FLATPAKS["krita"]
        places = [
            ("Krita", data / "krita", config / "kritarc", False),
            ("Krita (Flatpak)", sandbox / "data/krita", sandbox / "config/kritarc", True),
        ]
    return [
        _krita_profile(title, root, config, flatpak)
        for title, root, config, flatpak in places
        if root.is_dir() or config.is_file() or (title == "Krita" and machine.which("krita"))
    ]


def _gimp(machine: Machine) -> list[Profile]:
    env, home = machine.env, machine.home
    if env.get("GIMP3_DIRECTORY"):
        folder = Path(env["GIMP3_DIRECTORY"])
        return [Profile("gimp", f"GIMP in {folder}", folder, folder / "plug-ins")]
    if machine.platform == "win32":
        places = [("GIMP", _path(env, "APPDATA", home / "AppData/Roaming") / "GIMP", False)]
    elif machine.platform == "darwin":
        places = [("GIMP", home / "Library/Application Support/GIMP", False)]
    else:
        places = [
            ("GIMP", _path(env, "XDG_CONFIG_HOME", home / ".config") / "GIMP", False),
            ("GIMP (Flatpak)", home / ".var/app" / FLATPAKS["gimp"] / "config/GIMP", True),
        ]
    native = {version for version in ("3.0", "3.2") if machine.which(f"gimp-{version}")}
    sandboxed = _flatpak_gimps(machine) if machine.platform not in ("win32", "darwin") else set[str]()
    profiles: list[Profile] = []
    for title, folder, flatpak in places:
        versions = {entry.name for entry in folder.glob("3.*") if entry.is_dir()}
        if not flatpak:
            versions |= native | sandboxed
        for version in sorted(filter(re.compile(r"3\.\d+").fullmatch, versions), key=_minor):
            root = folder / version
            name = title.replace("GIMP", f"GIMP {version}")
            shared = not flatpak and version in sandboxed
            if shared:
                name += " (native and Flatpak)" if version in native else " (Flatpak)"
            profiles.append(Profile("gimp", name, root, root / "plug-ins", flatpak=flatpak or shared))
    return profiles


def _flatpak_gimps(machine: Machine) -> set[str]:
    """The versions of GIMP that are installed as Flatpaks, for everybody or for this person."""
    data = _path(machine.env, "XDG_DATA_HOME", machine.home / ".local/share")
    installations = (
        _path(machine.env, "FLATPAK_SYSTEM_DIR", Path("/var/lib/flatpak")),
        _path(machine.env, "FLATPAK_USER_DIR", data / "flatpak"),
    )
    programs = f"app/{FLATPAKS['gimp']}/current/active/files/bin"
    found = [program.name for place in installations for program in (place / programs).glob("gimp-3.*")]
    return {name.removeprefix("gimp-") for name in found}


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def _path(env: Mapping[str, str], variable: str, default: Path) -> Path:
    """Return the folder that a variable names; an empty or relative one does not count (XDG, section 2)."""
    value = env.get(variable, "")
    absolute = value.startswith("/") or re.match(r"[A-Za-z]:[\\/]", value)
    return Path(value) if absolute else default
