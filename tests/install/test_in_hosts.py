"""What `velatura install` puts there is taken by the real Krita and the real GIMP."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("fcntl", reason="the hosts are driven on Linux and macOS only")

from tests.hosts.gimp import GimpSession
from tests.hosts.krita import KritaSession
from tests.patience import patience

IN_KRITA = """
def drive(t):
    t.document(64, 64)
    yield lambda: t.krita.activeDocument()
    t.note(dockers=[docker.objectName() for docker in t.krita.dockers()])
    found = [action for action in t.krita.actions() if action.objectName().startswith("velatura_")]
    t.note(actions={action.objectName(): [action.iconText(), action.icon().isNull()] for action in found})
"""
IN_GIMP = """
def run(t):
    from gi.repository import Gimp
    t.note(found=[name for name in ("velatura-sdedit", "velatura-blended-latent-diffusion")
                  if Gimp.get_pdb().procedure_exists(name)])
"""


def velatura(*words, home):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(home)}
    words = [sys.executable, "-m", "velatura", *map(str, words)]
    subprocess.run(words, env=env, check=True, capture_output=True, timeout=patience(60))


@pytest.mark.krita
def test_krita_loads_the_installed_plugin(krita_host, tmp_path):
    with KritaSession(krita_host, tmp_path) as session:
        config = session.kritarc.read_bytes()
        velatura("install", "krita", "--profile", session.resources, home=tmp_path)
        found = session.window(IN_KRITA)
        assert "velatura_docker" in found["dockers"] and len(found["actions"]) == 7
        assert found["actions"]["velatura_run"] == ["Run", False]  # as the installed .action says
        velatura("uninstall", "krita", "--profile", session.resources, home=tmp_path)
        assert not list((session.resources / "pykrita").glob("velatura_krita*"))
        assert not (session.resources / "actions/velatura_krita.action").exists()
        assert (b"velatura_krita" in session.kritarc.read_bytes()) == (b"velatura_krita" in config)
        assert "velatura_docker" not in session.window(IN_KRITA)["dockers"]


@pytest.mark.gimp
def test_gimp_offers_the_methods_of_the_installed_plugin(gimp_host, tmp_path):
    with GimpSession(gimp_host, tmp_path) as session:
        velatura("install", "gimp", "--profile", session.profile, home=tmp_path)
        assert len(session.python(IN_GIMP)["found"]) == 2
        velatura("uninstall", "gimp", "--profile", session.profile, home=tmp_path)
        assert not (session.profile / "plug-ins/velatura_gimp").exists()
        assert session.python(IN_GIMP)["found"] == []
