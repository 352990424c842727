"""One run of a script inside a real host, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.hosts import Host, stop_process

from tests.patience import patience

REPOSITORY = Path(__file__).resolve().parents[2]


def prepare(folder: Path, script: str | Path, **args: Any) -> Path:
    """Make the folder of one run, with its script (a path, or the text) and its arguments."""
    folder.mkdir()
    if not isinstance(script, Path):
        (folder / "script.py").write_text(script)
        script = folder / "script.py"
    partial = folder / "arguments.partial"
    partial.write_text(json.dumps({**args, "script": str(script.resolve())}, default=str))
    partial.rename(folder / "arguments.json")
    return folder


class ScriptFailed(AssertionError):
    """A script inside a host failed, or the host did; the text holds all there is to know."""


@dataclass
class HostResult:
    """The result file of one run and the process's own words about it.

    A run succeeded only if its result file says so and the process ended with
    0: Krita's runner ends with 0 after an exception, and a crash at exit comes
    after a result that says all is well.
    """

    folder: Path  #: screenshots and other files the script wrote
    exit_code: int | None  #: None when the time was up and the process was killed
    output: str
    ok: bool = False
    values: dict[str, Any] = field(default_factory=dict)  #: what the script noted
    trace: str = ""
    unhandled: list[str] = field(default_factory=list)  #: exceptions in slots and threads
    steps: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path, exit_code: int | None, output: str) -> HostResult:
        """Read `folder`/result.json, which need not be there."""
        result = cls(folder, exit_code, output)
        try:
            found = json.loads((folder / "result.json").read_text())
        except FileNotFoundError:
            result.trace = "The host left no result: it did not get to the script, or died in it."
        else:
            for name in ("ok", "values", "trace", "unhandled"):
                setattr(result, name, found.get(name, getattr(result, name)))
        if (folder / "steps.txt").exists():
            result.steps = (folder / "steps.txt").read_text().splitlines()
        return result

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def check(self) -> HostResult:
        """Return this result if the run succeeded, else raise with all there is to know."""
        if self.ok and self.exit_code == 0 and not self.unhandled:
            return self
        ended = "was killed: its time was up" if self.exit_code is None else f"ended with {self.exit_code}"
        parts = [f"The host {ended}.", self.trace, *self.unhandled]
        if self.steps:
            parts.append("Steps: " + " / ".join(self.steps[-12:]))
        parts += [f"Files: {self.folder}", "Its last output:", self.output[-3000:]]
        raise ScriptFailed("\n".join(filter(None, parts)))


class HostRun:
    """A host process that runs a script: wait for it, or watch it while the test does other things."""

    def __init__(
        self,
        host: Host,
        words: Sequence[str | Path],
        folder: Path,
        *,
        env: Mapping[str, str],
        home: Path,
        binds: Sequence[tuple[Path, Path]],
        timeout: float,
    ):
        self.folder, self.timeout = folder, patience(timeout)
        self._end = time.monotonic() + self.timeout
        self._log = folder / "output.txt"  # not a pipe: nobody has to read it meanwhile
        with self._log.open("w") as log:
            self.process = host.popen(
                words, env=env, home=home, binds=binds, cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )

    def steps(self) -> list[str]:
        """Return what the script said about where it is (``t.step``), up to now."""
        path = self.folder / "steps.txt"
        return path.read_text().splitlines() if path.exists() else []

    def wait_step(self, text: str, timeout: float = 60) -> None:
        """Wait until the script has said this step; fail if the host ends before."""
        end = time.monotonic() + patience(timeout)
        while text not in self.steps():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise ScriptFailed(f"Step {text!r} did not come.\n{self.report()}")
            time.sleep(0.05)

    def wait(self, check: bool = True) -> HostResult:
        """Wait for the end, at most until the time is up; nothing of the run is left after."""
        try:
            code = self.process.wait(max(0, self._end - time.monotonic()))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            self.stop()
        result = HostResult.read(self.folder, code, self._log.read_text(errors="replace"))
        return result.check() if check else result

    def stop(self) -> None:
        """Kill the process and all it started, if any is left."""
        stop_process(self.process, grace=0)

    def report(self) -> str:
        """Return what is known of the run, for an error message."""
        steps, output = " / ".join(self.steps()), self._log.read_text(errors="replace")
        return f"Steps: {steps}\nFiles: {self.folder}\nIts last output:\n{output[-3000:]}"
