"""Plugins put in and taken out: whole, with the right permissions, and nothing else touched."""

import json
import os
import stat
import subprocess
import sys

import pytest

from velatura import __version__
from velatura.install import copy, hostfiles
from velatura.install.profiles import Machine, named
from velatura.install.sources import plugin
from velatura_protocol.schema import fields_from_schema


def profile_of(host, folder):
    return named(host, folder, Machine("linux", {}, folder / "home", lambda name: None))


def snapshot(folder):
    """Every file below a folder, with its bytes and permissions."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def krita(tmp_path):
    profile = profile_of("krita", tmp_path / "krita")
    profile.plugins.mkdir(parents=True)
    (profile.plugins / "other.desktop").write_text("another plugin")
    profile.config.write_bytes(b"[python]\r\nenable_other=true\r\n")
    return profile


@pytest.fixture
def gimp(tmp_path):
    return profile_of("gimp", tmp_path / "gimp")


def test_krita_gets_plugin_protocol_desktop_file_and_switch(krita, tmp_path):
    hostfiles.install_into(krita, "", tmp_path / "state")
    folder = krita.plugins / "velatura_krita"
    assert (krita.plugins / "velatura_krita.desktop").is_file()
    assert (krita.root / "actions/velatura_krita.action").is_file()
    assert not (krita.plugins / "velatura_krita.action").exists()
    assert (folder / "__init__.py").is_file()
    assert (folder / "velatura_protocol" / "client.py").is_file()
    config = json.loads((folder / "velatura.json").read_text())
    assert config["serve"] == [sys.executable, "-P", "-m", "velatura", "serve"]
    assert (config["state_dir"], config["version"]) == ("", __version__)
    assert krita.config.read_bytes() == b"[python]\r\nenable_velatura_krita=true\r\nenable_other=true\r\n"
    assert copy.is_enabled(krita)
    assert not list(folder.rglob("__pycache__"))


def test_the_protocol_in_the_plugin_is_a_package_of_its_own(krita, tmp_path):
    hostfiles.install_into(krita, "", tmp_path)
    code = "import velatura_protocol.client as c; print(c.__file__)"
    words = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {code}"]
    folder = krita.plugins / "velatura_krita"
    result = subprocess.run([*words, folder], capture_output=True, text=True, check=True)
    assert result.stdout.startswith(str(folder))


def test_gimp_gets_an_executable_plugin_and_the_first_methods(gimp, tmp_path):
    hostfiles.install_into(gimp, "/a/place", tmp_path)
    folder = gimp.plugins / "velatura_gimp"
    mode = (folder / "velatura_gimp.py").stat().st_mode
    assert stat.S_IMODE(mode) == 0o755
    assert (folder / "velatura_gimp.py").read_text().startswith("#!")
    assert stat.S_IMODE((folder / "velatura_protocol/client.py").stat().st_mode) == 0o644
    methods = json.loads((folder / "methods.json").read_text())
    assert {"blended-latent-diffusion", "sdedit"} <= {method["id"] for method in methods["methods"]}
    assert all(
        fields_from_schema(method["parameters"])
        for method in methods["methods"]
        if method["result"] != "text"
    )
    assert json.loads((folder / "velatura.json").read_text())["state_dir"] == "/a/place"


@pytest.mark.parametrize("host", ["krita", "gimp"])
def test_uninstall_takes_out_exactly_what_was_put_in(host, tmp_path, request):
    profile = request.getfixturevalue(host)
    profile.root.mkdir(exist_ok=True)
    before = snapshot(profile.root)
    hostfiles.install_into(profile, "", tmp_path)
    folder = profile.plugins / f"velatura_{host}"
    # What hosts make of it: compiled files, GIMP's list of what it registered, and its help page.
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)
    for name in copy.MADE_BY_PLUGIN if host == "gimp" else ():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    assert copy.uninstall(profile)
    assert snapshot(profile.root) == before
    assert not folder.exists()
    assert not copy.uninstall(profile)


def test_actions_of_the_persons_own_stay(krita, tmp_path):
    own = krita.root / "actions/own.action"
    own.parent.mkdir()
    own.write_text("mine")
    hostfiles.install_into(krita, "", tmp_path)
    (krita.root / "actions/velatura_krita.action").write_text("damaged")
    hostfiles.install_into(krita, "", tmp_path)
    assert "<ActionCollection" in (krita.root / "actions/velatura_krita.action").read_text()
    copy.uninstall(krita)
    assert [path.name for path in own.parent.iterdir()] == ["own.action"]


def test_actions_that_were_moved_away_by_an_install_that_was_killed_are_back(krita, tmp_path):
    hostfiles.install_into(krita, "", tmp_path)
    old, action = krita.root / ".velatura-install-killed/old", krita.root / "actions/velatura_krita.action"
    old.mkdir(parents=True)
    os.rename(action, old / action.name)
    new = plugin("krita")
    broken = type(new)(new.name, ((f"{new.name}/absent.py", tmp_path / "absent.py"),))
    with pytest.raises(FileNotFoundError):
        copy.install(krita, broken, {}, "9")
    assert action.is_file()


def test_a_config_that_was_not_there_is_not_there_again(tmp_path):
    profile = profile_of("krita", tmp_path / "k")
    hostfiles.install_into(profile, "", tmp_path)
    assert profile.config.read_bytes() == b"[python]\nenable_velatura_krita=true\n"
    copy.uninstall(profile)
    assert not profile.config.exists()


def test_installing_again_renews_and_still_undoes_the_first(krita, tmp_path):
    before = krita.config.read_bytes()
    hostfiles.install_into(krita, "", tmp_path)
    (krita.plugins / "velatura_krita/__init__.py").write_text("damaged")
    (krita.plugins / "velatura_krita/mine.txt").write_text("kept")
    hostfiles.install_into(krita, "", tmp_path)
    assert (krita.plugins / "velatura_krita/__init__.py").read_text() != "damaged"
    assert (krita.plugins / "velatura_krita/mine.txt").read_text() == "kept"
    copy.uninstall(krita)
    assert krita.config.read_bytes() == before
    assert [p.name for p in (krita.plugins / "velatura_krita").iterdir()] == ["mine.txt"]


def test_files_of_an_older_version_are_gone_after_an_update(krita, tmp_path):
    old = plugin("krita")
    older = type(old)(old.name, (*old.files, (f"{old.name}/gone.py", old.files[0][1])))
    copy.install(krita, older, {}, "0.0.1")
    assert (krita.plugins / "velatura_krita/gone.py").exists()
    hostfiles.install_into(krita, "", tmp_path)
    assert not (krita.plugins / "velatura_krita/gone.py").exists()


def test_gimp_sees_an_update_made_within_the_same_second(gimp, tmp_path):
    hostfiles.install_into(gimp, "", tmp_path)
    entry = gimp.plugins / "velatura_gimp/velatura_gimp.py"
    first = int(entry.stat().st_mtime)
    hostfiles.install_into(gimp, "", tmp_path)
    assert int(entry.stat().st_mtime) > first


def test_a_failed_install_leaves_the_old_plugin(krita, tmp_path):
    hostfiles.install_into(krita, "", tmp_path)
    before = snapshot(krita.root)
    new = plugin("krita")
    broken = type(new)(new.name, (*new.files, (f"{new.name}/absent.py", tmp_path / "absent.py")))
    with pytest.raises(FileNotFoundError):
        copy.install(krita, broken, {}, "9")
    assert snapshot(krita.root) == before


def test_an_install_that_was_killed_half_way_is_mended(krita, tmp_path):
    hostfiles.install_into(krita, "", tmp_path)
    (krita.plugins / "velatura_krita/mine.txt").write_text("kept")
    old = krita.root / ".velatura-install-killed" / "old"
    old.mkdir(parents=True)
    os.rename(krita.plugins / "velatura_krita", old / "velatura_krita")
    hostfiles.install_into(krita, "", tmp_path)
    assert (krita.plugins / "velatura_krita/mine.txt").read_text() == "kept"
    assert not list(krita.root.glob(".velatura-install-*"))


def test_a_manifest_cannot_reach_outside(krita, tmp_path):
    hostfiles.install_into(krita, "", tmp_path)
    victim = tmp_path / "victim"
    victim.touch()
    path = krita.plugins / "velatura_krita" / copy.MANIFEST
    manifest = json.loads(path.read_text())
    manifest["files"] += [str(victim), "../../victim", "velatura_krita/../other.desktop", 5]
    path.write_text(json.dumps(manifest))
    copy.uninstall(krita)
    assert victim.exists()
    assert (krita.plugins / "other.desktop").exists()


def test_a_damaged_note_of_kritarc_still_lets_the_plugin_go(krita, tmp_path):
    hostfiles.install_into(krita, "", tmp_path)
    path = krita.plugins / "velatura_krita" / copy.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "kritarc": {"line": 5, "group": "x"}}))
    assert copy.uninstall(krita)
    assert not (krita.plugins / "velatura_krita").exists()
    assert not copy.is_enabled(krita)


def test_a_linked_config_stays_a_link(krita, tmp_path):
    real = tmp_path / "dotfiles-kritarc"
    krita.config.rename(real)
    krita.config.symlink_to(real)
    hostfiles.install_into(krita, "", tmp_path)
    assert krita.config.is_symlink()
    assert b"velatura" in real.read_bytes()
