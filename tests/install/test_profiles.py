"""Where the hosts' profiles are looked for, on every platform."""

from pathlib import Path

import pytest

from velatura.install.profiles import Machine, find, named
from velatura_protocol.errors import VelaturaError


def machine(platform, home, env=None, programs=()):
    return Machine(platform, env or {}, home, lambda name: f"/usr/bin/{name}" if name in programs else None)


def places(host, machine):
    home = machine.home
    return [
        (p.title, str(p.plugins.relative_to(home)), p.config and str(p.config.relative_to(home)), p.flatpak)
        for p in find(host, machine)
    ]


def test_nothing_is_found_where_there_is_nothing(tmp_path):
    for platform in ("linux", "win32", "darwin"):
        for host in ("krita", "gimp"):
            assert find(host, machine(platform, tmp_path)) == []


def test_krita_on_linux_native_and_flatpak(tmp_path):
    (tmp_path / ".local/share/krita").mkdir(parents=True)
    flatpak = ".var/app/org.kde.krita"
    (tmp_path / flatpak / "config").mkdir(parents=True)
    (tmp_path / flatpak / "config/kritarc").touch()
    assert places("krita", machine("linux", tmp_path)) == [
        ("Krita", ".local/share/krita/pykrita", ".config/kritarc", False),
        ("Krita (Flatpak)", f"{flatpak}/data/krita/pykrita", f"{flatpak}/config/kritarc", True),
    ]


def test_krita_that_was_never_started_is_found_on_path(tmp_path):
    found = places("krita", machine("linux", tmp_path, programs=["krita"]))
    assert found == [("Krita", ".local/share/krita/pykrita", ".config/kritarc", False)]


def test_xdg_variables_are_honoured_if_absolute(tmp_path):
    (tmp_path / "d/krita").mkdir(parents=True)
    env = {"XDG_DATA_HOME": str(tmp_path / "d"), "XDG_CONFIG_HOME": "relative"}
    assert places("krita", machine("linux", tmp_path, env)) == [
        ("Krita", "d/krita/pykrita", ".config/kritarc", False)
    ]


def test_krita_on_windows_and_macos(tmp_path):
    (tmp_path / "AppData/Roaming/krita").mkdir(parents=True)
    assert places("krita", machine("win32", tmp_path)) == [
        ("Krita", "AppData/Roaming/krita/pykrita", "AppData/Local/kritarc", False)
    ]
    (tmp_path / "Library/Application Support/krita").mkdir(parents=True)
    assert places("krita", machine("darwin", tmp_path)) == [
        ("Krita", "Library/Application Support/krita/pykrita", "Library/Preferences/kritarc", False)
    ]


def test_every_version_of_gimp_3(tmp_path):
    for version in ("2.10", "2.99", "3.0", "3.10", "3.2", "3.2-old"):
        (tmp_path / ".config/GIMP" / version).mkdir(parents=True)
    (tmp_path / ".var/app/org.gimp.GIMP/config/GIMP/3.0").mkdir(parents=True)
    assert [p[0] for p in places("gimp", machine("linux", tmp_path))] == [
        "GIMP 3.0", "GIMP 3.2", "GIMP 3.10", "GIMP 3.0 (Flatpak)",
    ]  # fmt: skip
    assert places("gimp", machine("linux", tmp_path))[0][1:] == (".config/GIMP/3.0/plug-ins", None, False)


@pytest.mark.parametrize("place", ["user", "system", "data"])
@pytest.mark.parametrize("started", [False, True])
def test_a_gimp_from_flathub_uses_the_native_folder(tmp_path, place, started):
    """Flathub's manifest gives it `xdg-config/GIMP`."""
    folder = tmp_path / {"user": ".local/share/flatpak", "system": "everybody", "data": "data/flatpak"}[place]
    programs = folder / "app/org.gimp.GIMP/current/active/files/bin"
    programs.mkdir(parents=True)
    for name in ("gimp-3.0", "gimp-console-3.0", "gimptool-3.0", "gimp"):
        (programs / name).touch()
    if started:
        (tmp_path / ".config/GIMP/3.0").mkdir(parents=True)
    env = {"FLATPAK_SYSTEM_DIR": str(tmp_path / "everybody")}
    if place == "data":
        env["XDG_DATA_HOME"] = str(tmp_path / "data")
    alone, both = machine("linux", tmp_path, env), machine("linux", tmp_path, env, programs=["gimp-3.0"])
    assert places("gimp", alone) == [("GIMP 3.0 (Flatpak)", ".config/GIMP/3.0/plug-ins", None, True)]
    assert places("gimp", both)[0][0] == "GIMP 3.0 (native and Flatpak)"


def test_gimp_elsewhere(tmp_path):
    (tmp_path / "roam/GIMP/3.0").mkdir(parents=True)
    env = {"APPDATA": str(tmp_path / "roam")}
    assert places("gimp", machine("win32", tmp_path, env))[0][1] == "roam/GIMP/3.0/plug-ins"
    (tmp_path / "Library/Application Support/GIMP/3.2").mkdir(parents=True)
    assert (
        places("gimp", machine("darwin", tmp_path))[0][1] == "Library/Application Support/GIMP/3.2/plug-ins"
    )
    env = {"GIMP3_DIRECTORY": str(tmp_path / "own")}
    assert places("gimp", machine("linux", tmp_path, env))[0][1] == "own/plug-ins"
    assert places("gimp", machine("linux", tmp_path, programs=["gimp-3.2"]))[0][0] == "GIMP 3.2"


@pytest.mark.parametrize(
    ("folder", "plugins", "config"),
    [
        ("x", "x/pykrita", "x/kritarc"),
        ("x/pykrita", "x/pykrita", "x/kritarc"),
        ("h/.local/share/krita", "h/.local/share/krita/pykrita", "h/.config/kritarc"),
        ("app/data/krita", "app/data/krita/pykrita", "app/config/kritarc"),
    ],
)
def test_a_named_krita_profile(tmp_path, folder, plugins, config):
    profile = named("krita", tmp_path / folder, machine("linux", tmp_path / "home"))
    assert (profile.plugins, profile.config) == (tmp_path / plugins, tmp_path / config)


def test_a_home_folder_may_be_named(tmp_path):
    (tmp_path / "h/.config").mkdir(parents=True)
    profile = named("krita", tmp_path / "h", machine("linux", tmp_path))
    assert profile.plugins == tmp_path / "h/.local/share/krita/pykrita"


def test_a_known_profile_keeps_its_config(tmp_path):
    (tmp_path / "AppData/Roaming/krita").mkdir(parents=True)
    profile = named("krita", tmp_path / "AppData/Roaming/krita", machine("win32", tmp_path))
    assert profile.config == tmp_path / "AppData/Local/kritarc"


def test_a_named_gimp_profile_and_a_file(tmp_path):
    here = machine("linux", tmp_path)
    assert named("gimp", tmp_path / "3.0", here).plugins == tmp_path / "3.0/plug-ins"
    assert named("gimp", tmp_path / "3.0/plug-ins", here).root == tmp_path / "3.0"
    Path(tmp_path / "file").touch()
    with pytest.raises(VelaturaError, match="is a file"):
        named("gimp", tmp_path / "file", here)
