"""Doctor: each thing that may be wrong, made wrong."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import tomllib

from tests.tiny import tiny_model
from velatura.install import hostfiles
from velatura.install.doctor import PACKAGES, examine
from velatura.install.profiles import Machine, find
from velatura.models.catalogue import add

pytestmark = pytest.mark.timeout(120)


def test_all_that_is_required_is_looked_for():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    required = {re.split("[>=<]", line)[0] for line in project["dependencies"]}
    assert set(PACKAGES) == required


@pytest.fixture
def machine(tmp_path):
    for folder in (".local/share/krita", ".config/GIMP/3.0"):
        (tmp_path / folder).mkdir(parents=True)
    return Machine("linux", {}, tmp_path, lambda name: None)


@pytest.fixture
def healthy(machine, tmp_path):
    for host in ("krita", "gimp"):
        hostfiles.install_into(find(host, machine)[0], "", tmp_path)
    return machine


def of_hosts(state_dir, machine):
    """What is said of the hosts, without the check of torch, which takes seconds."""
    found = [f for f in examine(state_dir, machine) if f.sentence.startswith(("Krita", "GIMP"))]
    return {finding.sentence.partition(":")[0].split()[0]: finding for finding in found}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look for torch without loading it: that is tested once, by the command."""
    monkeypatch.setattr("velatura.install.doctor.PROBE", (sys.executable, "-c", 'print(\'["2", "", ""]\')'))


def test_a_healthy_installation(healthy, tmp_path):
    assert {f.level for f in of_hosts(tmp_path, healthy).values()} == {"ok"}


def test_no_plugin_is_no_fault(machine, tmp_path):
    assert {f.level for f in of_hosts(tmp_path, machine).values()} == {"note"}
    assert "velatura install krita" in of_hosts(tmp_path, machine)["Krita"].mend


def test_a_plugin_that_is_switched_off(healthy, tmp_path):
    (tmp_path / ".config/kritarc").write_text("[python]\nenable_velatura_krita=false\n")
    finding = of_hosts(tmp_path, healthy)["Krita"]
    assert (finding.level, "switched off" in finding.sentence) == ("fault", True)
    assert "Python Plugin Manager" in finding.mend


def test_a_python_that_is_gone(healthy, tmp_path):
    path = tmp_path / ".config/GIMP/3.0/plug-ins/velatura_gimp/velatura.json"
    path.write_text(json.dumps({"serve": ["/gone/python", "-m", "velatura", "serve"]}))
    finding = of_hosts(tmp_path, healthy)["GIMP"]
    assert (finding.level, "/gone/python" in finding.sentence) == ("fault", True)
    assert "velatura install gimp" in finding.mend


def test_a_missing_executable_bit_an_old_version_and_missing_files(healthy, tmp_path):
    folder = tmp_path / ".config/GIMP/3.0/plug-ins/velatura_gimp"
    (folder / "velatura_gimp.py").chmod(0o644)
    assert "is not executable" in of_hosts(tmp_path, healthy)["GIMP"].sentence
    (folder / "velatura_gimp.py").chmod(0o755)
    manifest = json.loads((folder / "velatura-manifest.json").read_text())
    (folder / "velatura-manifest.json").write_text(json.dumps({**manifest, "version": "0.0.1"}))
    assert "version 0.0.1" in of_hosts(tmp_path, healthy)["GIMP"].sentence
    (folder / "velatura-manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(folder / "velatura_protocol")
    assert "missing" in of_hosts(tmp_path, healthy)["GIMP"].sentence


def test_a_damaged_manifest_is_a_finding(healthy, tmp_path):
    path = tmp_path / ".config/GIMP/3.0/plug-ins/velatura_gimp/velatura-manifest.json"
    files = [["a"], {}, "velatura_gimp/gone.py"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "files": files, "kritarc": []}))
    finding = of_hosts(tmp_path, healthy)["GIMP"]
    assert finding.level == "fault" and "velatura_gimp/gone.py among them" in finding.sentence


def test_missing_actions_of_krita(healthy, tmp_path):
    (tmp_path / ".local/share/krita/actions/velatura_krita.action").unlink()
    finding = of_hosts(tmp_path, healthy)["Krita"]
    assert finding.level == "fault" and "velatura_krita.action among them" in finding.sentence
    assert "velatura install krita" in finding.mend


def test_a_model_whose_files_are_gone(machine, tmp_path):
    add(tmp_path, "mine", str(tiny_model(tmp_path / "model")))
    shutil.rmtree(tmp_path / "model" / "unet")
    first = [f.sentence for f in examine(tmp_path, machine) if f.level == "fault"]
    assert any("model" in sentence for sentence in first), first
    shutil.rmtree(tmp_path / "model")
    faults = [f for f in examine(tmp_path, machine) if f.level == "fault"]
    assert next(f.mend for f in faults if str(tmp_path / "model") in f.sentence).startswith("Add it again")


def test_a_running_daemon(daemon, machine):
    found = [f for f in examine(daemon.state_dir, machine) if f.sentence.startswith("The daemon")]
    assert [f.level for f in found] == ["ok"]
    daemon.kill()
    found = [f for f in examine(daemon.state_dir, machine) if f.sentence.startswith("The daemon")]
    assert [f.level for f in found] == ["note"]
    daemon.start()


def test_a_readable_connection_file(tmp_path, machine):
    (tmp_path / "connection.json").write_text("{}")
    (tmp_path / "connection.json").chmod(0o666)
    assert any(f.level == "fault" and "password" in f.sentence for f in examine(tmp_path, machine))


@pytest.mark.skipif(os.name != "posix", reason="modes say nothing")
def test_a_directory_that_others_may_write(tmp_path, machine):
    tmp_path.chmod(0o777)
    found = [f for f in examine(tmp_path, machine) if f"chmod go-w {tmp_path}" in f.sentence]
    assert [f.level for f in found] == ["fault"]
    tmp_path.chmod(0o755)
    assert not [f for f in examine(tmp_path, machine) if "chmod go-w" in f.sentence]


def test_a_damaged_list_of_edits_is_told_and_can_be_forgotten(tmp_path, machine):
    assert not [f for f in examine(tmp_path, machine) if "list of edits was damaged" in f.sentence]
    (tmp_path / "jobs.sqlite.damaged-1790000000").touch()
    (tmp_path / "jobs.sqlite.damaged-1790000000-wal").touch()
    (finding,) = [f for f in examine(tmp_path, machine) if "list of edits was damaged" in f.sentence]
    assert finding.level == "note"
    assert "velatura forget" in finding.mend


def test_a_disk_that_is_full(tmp_path, machine, monkeypatch):
    monkeypatch.setattr("velatura.install.doctor.LEAST_SPACE", 2**80)
    assert any(f.level == "fault" and "free" in f.sentence for f in examine(tmp_path, machine))


def test_a_device_that_is_not_there(healthy, tmp_path, monkeypatch):
    """As the settings name it: the worker does not start on it, and says that the doctor says more."""
    monkeypatch.undo()  # torch is really asked
    (tmp_path / "settings.toml").write_text('device = "cuda:77"\n')
    finding = next(f for f in examine(tmp_path, healthy) if "cuda:77" in f.sentence)
    assert finding.level == "fault"
    assert str(tmp_path / "settings.toml") in finding.mend


def test_settings_that_make_no_sense(healthy, tmp_path):
    (tmp_path / "settings.toml").write_text("colour = 3\n")
    finding = next(f for f in examine(tmp_path, healthy) if "colour" in f.sentence)
    assert (finding.level, "remove it" in finding.sentence) == ("fault", True)
