"""installer/run.py: the environment is made once, and mended when it is not what it should be."""

import json
import os
import sys

import pytest
from _pytest.mark.expression import Expression
from installer import run

pytestmark = pytest.mark.timeout(300)

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "sample"
version = "1"
dependencies = []
[project.optional-dependencies]
test = []
[tool.hatch.build.targets.wheel]
packages = ["sample"]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project as small as can be, installed the same way."""
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample/__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    environment = tmp_path / ".velatura/env"
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "ENVIRONMENT", environment)
    monkeypatch.setattr(run, "PYTHON", environment / run.PYTHON.relative_to(run.STATE / "env"))
    monkeypatch.setattr(run, "STAMP", environment / run.STAMP.name)
    monkeypatch.setattr(run, "TORCH", "iniconfig")
    return tmp_path


@pytest.mark.slow
def test_the_environment_is_made_once(project, monkeypatch, capsys):
    run.environment("test")
    assert "making an environment" in capsys.readouterr().out
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    for extra in ("test", ""):
        run.environment(extra)
        assert "is ready" in capsys.readouterr().out
    (project / "pyproject.toml").write_text(
        PROJECT.replace("dependencies = []", 'dependencies = ["absent-here"]', 1)
    )
    with pytest.raises(run.Failed, match="the network"):
        run.environment("")
    assert "is ready" not in capsys.readouterr().out
    assert run.read_stamp() == {}


def test_a_damaged_stamp_counts_as_none(project):
    run.STAMP.parent.mkdir(parents=True)
    for content in ("", "[]", "{", json.dumps(5)):
        run.STAMP.write_text(content)
        assert run.read_stamp() == {}


def test_its_words(capsys):
    with pytest.raises(SystemExit):
        run.main(["--help"])
    assert "demo" in capsys.readouterr().out


@pytest.mark.timeout(60)
def test_programs_run_side_by_side_and_every_output_is_shown(project, tmp_path, capfd):
    """Each waits for the other, so that one after the other they would hang."""
    wait = "import pathlib, sys, time\nmine, other = map(pathlib.Path, sys.argv[1:])\nmine.touch()\n"
    wait += "while not other.exists(): time.sleep(0.01)\nprint(mine.name)\nsys.exit(mine.name == 'b')"
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    program = [sys.executable, "-c", wait]
    assert run.side_by_side(dict(os.environ), [[*program, a, b], [*program, b, a]]) == [0, 1]
    shown = capfd.readouterr().out.splitlines()
    assert [line for line in shown if line in ("a", "b")] == ["a", "b"]


@pytest.mark.parametrize("marks", [(), ("second",), ("hosted",)])
def test_every_test_runs_in_one_of_the_gates_processes(marks):
    chosen = [Expression.compile(command[command.index("-m") + 1]) for command in run.WHOLE]
    assert [one.evaluate(lambda name, **_: name in marks) for one in chosen].count(True) == 1
