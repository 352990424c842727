"""The command line as a process, and one daemon with a tiny real model for the whole folder."""

import os
import subprocess
import sys

import pytest

from tests.daemon_fixture import Daemon
from tests.more_methods import environment
from tests.patience import patience
from tests.tiny import register_tiny_model


class CommandLine:
    """`cli("edit", …)` runs `python -m velatura` with a state directory and gives the finished process."""

    def __init__(self, state_dir, home, environment=()):
        self.state_dir = state_dir
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VELATURA_STATE_DIR": str(state_dir),
            "HOME": str(home),
            **dict(environment),
        }

    def __call__(self, *words, code=0, timeout=120):
        result = subprocess.run(
            self.words(words),
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=patience(timeout),
        )
        assert result.returncode == code, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result

    def start(self, *words, **options):
        return subprocess.Popen(
            self.words(words), env=self.environment, stdin=subprocess.DEVNULL, text=True, **options
        )

    def words(self, words):
        return [sys.executable, "-m", "velatura", *map(str, words)]


@pytest.fixture(scope="package")
def running(tmp_path_factory, tiny_folder):
    """A running daemon that all tests of the folder share; it has the methods of `tests.more_methods` too."""
    folder = tmp_path_factory.mktemp("cli") / "state"
    register_tiny_model(folder, tiny_folder)
    with Daemon(folder, environment()) as daemon:
        yield daemon


@pytest.fixture
def cli(running, tmp_path):
    """The command line beside the running daemon, with the same methods."""
    return CommandLine(running.state_dir, tmp_path / "home", environment())


@pytest.fixture
def alone(state_dir, tmp_path):
    """The command line where no daemon runs; one that it started is stopped at the end."""
    command_line = CommandLine(state_dir, tmp_path / "home")
    yield command_line
    command_line("stop")
