"""The stage of a campaign: a state directory, its daemon with the seam, and the clients' processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from velatura.files.programs import program
from velatura_lab.soak import seam
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import Connection, read_connection

START_S, STOP_S = 240.0, 90.0  # they only end a hang
BUDGET = 256 * 1024**2  # bytes of the spool
_SETTINGS = {
    "find_models": "false",
    "sweep": "3.0",
    "cancel_grace": "5.0",
    "disk_reserve": "1",
    "spool_budget": str(BUDGET),
}
_INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: velatura-soak\nVersion: 1.0\n",
    "entry_points.txt": "[velatura.methods]\nsoak-negative = velatura_lab.soak.method:Negative\n",
}


class Stage:
    """A daemon that may be killed, and started again for the same state directory.

    Args:
        folder: an empty one, for the state, the plans and the ledgers.
        light: whether the workers compute without networks, and start in a moment.
    """

    def __init__(self, folder: Path, *, light: bool) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.plan = folder / "plan"
        self.state_dir.mkdir(mode=0o700, parents=True)
        (self.state_dir / "settings.toml").write_text(
            "".join(f"{key} = {value}\n" for key, value in _SETTINGS.items()), "utf-8"
        )
        site = folder / "site"
        info = site / "velatura_soak-1.0.dist-info"
        info.mkdir(parents=True)
        for name, text in _INFO.items():
            (info / name).write_text(text, "utf-8")
        (site / "sitecustomize.py").write_text("from velatura_lab.soak import seam\n\nseam.install()\n")
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)]),
            "VELATURA_STATE_DIR": str(self.state_dir),
            "OMP_NUM_THREADS": "1",
            seam.PLAN: str(self.plan),
            **({seam.LIGHT: "1"} if light else {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The broker's."""
        assert self._process is not None
        return self._process.pid

    @property
    def connection(self) -> Connection:
        """Raises VelaturaError if there is none."""
        return read_connection(self.state_dir)

    @property
    def status(self) -> int | None:
        """The broker's exit status; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def start(self) -> None:
        """Starts the broker, and returns once it has a connection file. Raises RuntimeError if it has not."""
        self.withdraw()
        with open(self.folder / "serve.out", "ab") as output:
            self._process = subprocess.Popen(
                program("velatura.daemon.serve"),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_S
        while not self._is_up():
            if self.status is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the daemon does not start: {(self.folder / 'serve.out').read_text()}")
            time.sleep(0.02)

    def _is_up(self) -> bool:
        with suppress(VelaturaError):
            return self.connection.pid == self.pid
        return False

    def kill(self) -> None:
        """Kills the broker, and waits for its end."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def wait(self) -> None:
        """For the broker's end."""
        assert self._process is not None
        self._process.wait(STOP_S)

    def stop(self) -> int:
        """Stops the broker in good order; its exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def worker(self) -> int:
        """The worker's pid; 0 if there is none."""
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.pid and b"velatura.daemon.worker.main" in words:
                    return int(folder.name)
        return 0

    # Plans

    def make_plan(self, plan: dict[str, object]) -> None:
        """Replaces the plan at once."""
        made = self.plan.with_name("plan.new")
        made.write_text(json.dumps(plan), "utf-8")
        made.replace(self.plan)

    def withdraw(self) -> None:
        """Takes the plan away."""
        self.plan.unlink(missing_ok=True)

    def fired(self, plan: int) -> int:
        """The number of calls for which a plan has fired."""
        with suppress(OSError):
            return (self.folder / seam.FIRED).read_text().split().count(str(plan))
        return 0

    def set_clock(self, ahead: float) -> None:
        """Sets the daemon's clock ahead by some seconds."""
        made = self.folder / "clock.new"
        made.write_text(str(ahead))
        made.replace(self.folder / seam.CLOCK)

    # Bounds

    def memory(self) -> int:
        """Bytes of the broker that are resident."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def handles(self) -> int:
        """Open files of the broker."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def spool(self) -> int:
        """Bytes of the spool's files."""
        return sum(path.stat().st_size for path in (self.state_dir / "spool").rglob("*") if path.is_file())

    def journal(self) -> int:
        """Bytes of the journal, its log and its backup."""
        return sum(path.stat().st_size for path in self.state_dir.glob("jobs.sqlite*"))


class Clients:
    """The clients' processes. Each goes on with its ledger after a kill.

    Args:
        stage: where the daemon is.
        seed: of the campaign.
        number: of clients.
    """

    def __init__(self, stage: Stage, seed: int, number: int) -> None:
        self._stage = stage
        self._seed = seed
        self._lives = [0] * number
        self._processes = [self._spawn(one) for one in range(number)]

    def _spawn(self, one: int) -> subprocess.Popen[bytes]:
        self._lives[one] += 1
        places = [str(self._stage.folder), str(self._stage.state_dir)]
        numbers = map(str, (self._seed, one, len(self._lives), self._lives[one]))
        with open(self._stage.folder / "clients.out", "ab") as output:
            return subprocess.Popen(
                program("velatura_lab.soak.client", *places, *numbers),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def __len__(self) -> int:
        return len(self._processes)

    def kill(self, one: int) -> None:
        """Kills a client, and starts it again."""
        self._processes[one].kill()
        self._processes[one].wait(STOP_S)
        self._processes[one] = self._spawn(one)

    def pid(self, one: int) -> int:
        """A client's."""
        return self._processes[one].pid

    def ledgers(self) -> list[Path]:
        """Their files."""
        return [self._stage.folder / f"ledger-{one}" for one in range(len(self))]

    def size(self) -> list[int]:
        """Bytes of each ledger, which grow as its client gets on."""
        return [path.stat().st_size if path.exists() else 0 for path in self.ledgers()]

    def failed(self) -> bool:
        """Whether a client ended by an error."""
        return any(process.poll() not in (None, 0) for process in self._processes)

    def finish(self, seconds: float) -> bool:
        """Lets every client end its jobs; whether all have done so."""
        (self._stage.folder / "over").touch()
        deadline = time.monotonic() + seconds
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        return all(process.poll() == 0 for process in self._processes)

    def end(self) -> None:
        """Kills those that still run."""
        for process in self._processes:
            process.kill()
            process.wait(STOP_S)
