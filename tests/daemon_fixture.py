"""A real daemon for tests: its own process, with a small real model, checked for leftovers at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.more_methods import environment
from tests.patience import patience
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import CONNECTION_FILE, Connection, read_connection

STOP_S = patience(60.0)


class Daemon:
    """`with Daemon(state_dir) as daemon:` starts `velatura serve` for a state directory, and stops it.

    environment: further variables. first: Python that its process runs before anything else. settings:
    entries of settings.toml; `restart` takes further ones.
    """

    def __init__(
        self,
        state_dir: Path,
        environment: Mapping[str, str] | None = None,
        *,
        first: str = "",
        **settings: object,
    ) -> None:
        self.state_dir = state_dir
        self._first = first
        self._environment = environment or {}
        self._settings = {
            "find_models": False
        } | settings  # this computer's own models are no test's business
        self._process: subprocess.Popen | None = None
        self._workers: set[int] = set()

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.check_nothing_is_left()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def connection(self) -> Connection:
        return read_connection(self.state_dir)

    @property
    def log(self) -> str:
        return (self.state_dir / "daemon.log").read_text("utf-8")

    def start(self) -> None:
        """Starts the daemon and waits until it answers for itself with a connection file."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        lines = [f"{key} = {_toml(value)}" for key, value in self._settings.items()]
        (self.state_dir / "settings.toml").write_text("\n".join(lines), "utf-8")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VELATURA_STATE_DIR": str(self.state_dir),
            "OMP_NUM_THREADS": "1",  # the tiny model gains nothing by more, and a busy machine loses much
            **self._environment,
        }
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"{self._first}\n"
                "from velatura.daemon.serve import main; raise SystemExit(main(device='cpu'))",
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        try:
            wait_for(self.is_up, 120.0, "the daemon does not come up")
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """SIGTERM, and a wait for a clean end. A daemon that has ended already may have done so."""
        if self._process is not None and self._process.poll() is None:
            self._note_workers()
            self._process.terminate()
            try:
                status = self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()  # it fails the test, and does not outlive it
                raise
            assert status == 0, self.log
            assert not (self.state_dir / CONNECTION_FILE).exists()

    def kill(self) -> None:
        """SIGKILL, as the system does when memory runs out."""
        self._note_workers()
        self._process.kill()
        self._process.wait(STOP_S)

    def restart(self, **settings: object) -> None:
        """Stops the daemon if it still runs, and starts it again."""
        self._settings |= settings
        self.stop()
        self.start()

    def wait(self, timeout: float = STOP_S) -> int:
        """For the daemon's own end; its exit status."""
        return self._process.wait(timeout)

    def worker_pid(self, timeout: float = 120.0) -> int:
        """The process id of the worker, once there is one."""
        return wait_for(self._find_worker, timeout, "there is no worker")

    def has_worker(self) -> bool:
        return bool(self._find_worker())

    def kill_worker(self) -> None:
        self.signal_worker(signal.SIGKILL)

    def signal_worker(self, number: int) -> None:
        pid = self.worker_pid()
        self._workers.add(pid)
        os.kill(pid, number)

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """The worker gets no time: nothing that is given to it ends meanwhile, on however quick a machine.

        The daemon tolerates that until a cancel's grace is over, and then kills the worker.
        """
        wait_for(lambda: "is ready" in self.log, 200.0, "the worker does not start")
        self.signal_worker(signal.SIGSTOP)
        stopped = self.worker_pid()
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # it was killed meanwhile
                os.kill(stopped, signal.SIGCONT)

    def check_nothing_is_left(self) -> None:
        """No worker outlives its daemon."""
        wait_for(lambda: not any(map(_is_alive, self._workers)), 20.0, "a worker is left behind")

    def is_up(self) -> bool:
        """Whether it has written its connection file."""
        assert self._process.poll() is None, f"the daemon ended with {self._process.returncode}"
        try:
            return self.connection.pid == self._process.pid
        except VelaturaError:
            return False

    def _note_workers(self) -> None:
        self._workers |= {self._find_worker()} - {0}

    def _find_worker(self) -> int:
        """0 if there is none."""
        listing = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
        ).stdout
        for line in listing.splitlines():
            pid, parent, state, command = line.split(None, 3)
            if int(parent) == self.pid and "velatura.daemon.worker.main" in command and "Z" not in state:
                return int(pid)
        return 0


def wait_for(condition: Callable[[], object], timeout: float, failure: str, every: float = 0.02):
    """The condition's first true value. Fails the test after patience(timeout) seconds."""
    deadline = time.monotonic() + patience(timeout)
    while not (value := condition()):
        assert time.monotonic() < deadline, failure
        time.sleep(every)
    return value


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        "Z"
        not in subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    )


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real model, made once."""
    from tests.tiny import tiny_model

    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def state_dir(tmp_path: Path, tiny_folder: Path) -> Path:
    """A state directory whose default model is the tiny one."""
    from tests.tiny import register_tiny_model

    register_tiny_model(tmp_path / "state", tiny_folder)
    return tmp_path / "state"


@pytest.fixture
def daemon(state_dir: Path) -> Iterator[Daemon]:
    """A running daemon with the tiny model as its default, and the methods of `tests.more_methods` too."""
    with Daemon(state_dir, environment()) as running:
        yield running
