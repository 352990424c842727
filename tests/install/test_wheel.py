"""The built wheel is enough: with plugins, protocol and model, it installs them without the repository."""

import configparser
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import tomllib

from tests.patience import patience
from velatura.bundles import BUNDLES
from velatura.install.copy import located
from velatura.install.profiles import Machine, named
from velatura.install.sources import plugin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]


def call(*words, cwd, **env):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VELATURA"))}
    result = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=clean | env,
        capture_output=True,
        text=True,
        timeout=patience(240),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT, cwd=folder)
    return next(folder.glob("velatura-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh environment with the wheel and what its schemas need, and nothing of the repository."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    call(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    call(*pip, "pydantic", cwd=folder)
    return python


def test_it_carries_plugins_protocol_and_model(wheel):
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if "/bundles/" not in name}
        bundled = {i.filename: i.file_size for i in archive.infolist() if "/bundles/" in i.filename}
    for host in ("krita", "gimp"):
        for place, source in plugin(host).files:
            name = f"velatura/_plugins/{host}/{place}"
            if "/velatura_protocol/" in place:
                name = "velatura_protocol/" + place.partition("/velatura_protocol/")[2]
            assert content[name] == source.read_bytes(), name
    for place in (
        "docs/generate/__main__.py",
        "docs/krita.md",
        "mkdocs.yml",
        "protocol/SPEC.md",
        "README.md",
    ):
        assert content[f"velatura/_docs/{place}"] == (ROOT / place).read_bytes()
    assert {name: size for name, size in bundled.items() if not name.endswith(".py")} == {
        f"velatura/bundles/{path.relative_to(BUNDLES).as_posix()}": path.stat().st_size
        for path in BUNDLES.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert not [name for name in content if "__pycache__" in name or name.startswith("tests/")]


def test_it_carries_every_entry_point(wheel):
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = offered["entry-points"] | {"console_scripts": offered["scripts"]}
    written = configparser.ConfigParser(delimiters="=")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        written.read_string(archive.read(name).decode("utf-8"))
    assert {group: dict(written[group]) for group in written.sections()} == groups
    assert "velatura.generators" in groups


@pytest.mark.parametrize("host", ["krita", "gimp"])
def test_it_installs_the_plugins_by_itself(installed, tmp_path, host):
    where = {"cwd": tmp_path, "HOME": str(tmp_path / "home")}
    call(installed.with_name("velatura"), "install", host, "--profile", tmp_path / "profile", **where)
    profile = named(host, tmp_path / "profile", Machine("linux", {}, tmp_path, lambda name: None))
    for place, source in plugin(host).files:
        assert located(profile, place).read_bytes() == source.read_bytes()
    plugins = profile.plugins
    folder = plugins / f"velatura_{host}"
    assert str(installed) in (folder / "velatura.json").read_text()
    assert (folder / "methods.json").exists() == (host == "gimp")
    call(installed.with_name("velatura"), "uninstall", host, "--profile", tmp_path / "profile", **where)
    assert not [path for path in profile.root.rglob("*") if path.is_file()]
