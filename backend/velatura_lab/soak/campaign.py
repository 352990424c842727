"""The campaign: fault after fault against a daemon with clients at work, then the judgement."""

from __future__ import annotations

import random
import sqlite3
import statistics
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from velatura_lab.soak.faults import DEADLY, OUTLIVED, Fault, Trial
from velatura_lab.soak.judge import Verdict, judge
from velatura_lab.soak.ledger import Entry, Ledger, pixels, request, result_of
from velatura_lab.soak.stage import BUDGET, Clients, Stage
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest

STUCK_S = 300.0  # without any client getting on, after which the daemon counts as hung
MiB = 1024**2
GROWTH = 24 * MiB  # of the broker's memory in its long life, which caches and heaps explain
HANDLES = 40  # further open files
ROW = 8192  # bytes of the journal, its log and its backup for a job
_BATCH = 32


@dataclass
class Report:
    """What a campaign found.

    Args:
        seed: repeats it.
        jobs: that were acknowledged.
        faults: by what and where.
        verdict: on the jobs.
        broken: what else is wrong, in sentences.
        bounds: memory (bytes, at the beginning and the end of the long life), handles, spool, journal.
        recovery: seconds from a broker's death until a client got on.
    """

    seed: int
    jobs: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    verdict: Verdict = field(default_factory=Verdict)
    broken: list[str] = field(default_factory=list[str])
    bounds: dict[str, int] = field(default_factory=dict[str, int])
    recovery: list[float] = field(default_factory=list[float])

    @property
    def kills(self) -> int:
        """Of broker, worker and clients together."""
        return sum(count for name, count in self.faults.items() if ": kill" in name or ": torn" in name)

    @property
    def problems(self) -> list[str]:
        """Everything that must not be."""
        return self.broken + self.verdict.problems

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        verdict = self.verdict
        counts = {kind: len(getattr(verdict, kind)) for kind in ("lost", "doubled", "wrong", "refused")}
        middle = round(statistics.median(self.recovery), 2) if self.recovery else None
        return {
            "seed": self.seed,
            "kills": self.kills,
            "jobs": self.jobs,
            **counts,
            "ends": dict(verdict.ends),
            "faults": dict(sorted(self.faults.items())),
            "bounds": self.bounds,
            "recovery_s": middle,
            "problems": self.problems,
        }


class Campaign:
    """One campaign in a folder, which its caller deletes.

    Args:
        folder: an empty one.
        seed: decides on jobs, faults, their order and their places; the processes' own timing stays free.
        light: whether workers compute without networks.
        clients: at work at a time.
    """

    def __init__(self, folder: Path, seed: int, *, light: bool, clients: int = 3) -> None:
        self._folder = folder
        self._seed = seed
        self._light = light
        self._number = clients
        self._chance = random.Random(seed)
        self.report = Report(seed)

    def run(self, rounds: int | None, minutes: float = 0.0) -> Report:
        """Runs it.

        Args:
            rounds: faults that the broker outlives, and as many deadly ones after them; None: by time.
            minutes: half of it for either part, without `rounds`.
        """
        stage = Stage(self._folder / "attacked", light=self._light)
        stage.start()
        clients = Clients(stage, self._seed, self._number)
        trial = Trial(stage, clients, self._chance, self.report.faults)
        try:
            self._attack(trial, rounds, minutes)
            if not clients.finish(STUCK_S):
                self._note("a client did not end its jobs, or failed; clients.out and daemon.log say why")
        except (RuntimeError, OSError) as error:
            self._note(str(error))
        finally:
            clients.end()
            if stage.status is None and stage.stop():
                self._note("the daemon does not end in good order")
        self._conclude(trial)
        return self.report

    def _note(self, sentence: str) -> None:
        self.report.broken.append(sentence)

    # The attack

    def _attack(self, trial: Trial, rounds: int | None, minutes: float) -> None:
        self._wait_for_progress(trial)
        if rounds is None:  # each once, before the memory is taken
            self._part(trial, OUTLIVED, len(OUTLIVED), 0.0)
        self.report.bounds |= {"memory_first": trial.stage.memory(), "handles_first": trial.stage.handles()}
        self._part(trial, OUTLIVED, rounds, 30.0 * minutes)
        self.report.bounds |= {"memory_last": trial.stage.memory(), "handles_last": trial.stage.handles()}
        self._part(trial, DEADLY, rounds, 30.0 * minutes)

    def _part(self, trial: Trial, faults: tuple[Fault, ...], rounds: int | None, seconds: float) -> None:
        began, done = time.monotonic(), 0
        while done < rounds if rounds is not None else time.monotonic() - began < seconds:
            turn = list(faults)
            self._chance.shuffle(turn)
            for fault in turn:
                if rounds is not None and done >= rounds:
                    break
                self._round(trial, fault)
                done += 1

    def _round(self, trial: Trial, fault: Fault) -> None:
        is_dead = fault(trial)
        died = time.monotonic()
        if is_dead:
            trial.stage.start()
        elif trial.stage.status is not None:
            self._note(f"the daemon ended by itself with {trial.stage.status} after {fault.__name__}")
            trial.stage.start()
        self._wait_for_progress(trial)
        if is_dead:
            self.report.recovery.append(time.monotonic() - died)

    def _wait_for_progress(self, trial: Trial) -> None:
        """Until a client gets on. Raises RuntimeError where none does."""
        before, deadline = sum(trial.clients.size()), time.monotonic() + STUCK_S
        while sum(trial.clients.size()) < before + 400:  # a few lines: a retried submission is none
            if trial.clients.failed():
                raise RuntimeError("a client failed; clients.out says why")
            if trial.stage.status is not None:
                return  # the next look finds that
            if time.monotonic() > deadline:
                raise RuntimeError("no client gets on; the daemon hangs")
            time.sleep(0.02)

    # The end

    def _conclude(self, trial: Trial) -> None:
        entries: dict[str, Entry] = {}
        for path in trial.clients.ledgers():
            ledger = Ledger(path)
            entries |= ledger.entries
            ledger.close()
        report = self.report
        report.jobs = sum(entry.acknowledged for entry in entries.values())
        trial.stage.set_clock(0.0)
        known = self._known(trial.stage)
        wanted = {e.number for e in entries.values() if any(end == "done" for end, _ in e.ends)}
        undisturbed = self._undisturbed(wanted)
        report.verdict = judge(entries, known, undisturbed, trial.worker_faults)
        report.bounds |= {"spool": trial.stage.spool(), "journal": trial.stage.journal()}
        bounds = report.bounds
        if bounds.get("memory_last", 0) - bounds.get("memory_first", 0) > GROWTH:
            self._note(f"the broker's memory grew from {bounds['memory_first']} to {bounds['memory_last']}")
        if bounds.get("handles_last", 0) - bounds.get("handles_first", 0) > HANDLES:
            self._note(f"the broker's handles grew to {bounds['handles_last']}")
        if bounds["spool"] > BUDGET + 16 * MiB:
            self._note(f"the spool has {bounds['spool']} bytes")
        if bounds["journal"] > 16 * MiB + ROW * report.jobs:
            self._note(f"the journal has {bounds['journal']} bytes for {report.jobs} jobs")

    def _known(self, stage: Stage) -> dict[str, tuple[str, str]]:
        """The end of every job that a further daemon reads from the journal."""
        known: dict[str, tuple[str, str]] = {}
        stage.start()
        client = Client(stage.state_dir, name="judge")
        try:
            listed = _all_jobs(stage)
            for job in listed:
                with suppress(VelaturaError):
                    state = client.request({"type": "get", "job": job}, 60.0)
                    code = (state.get("error") or {}).get("code", "")
                    known[job] = (f"{state['state']} {code}".strip(), result_of(state))
        finally:
            client.close()
            stage.stop()
        return known

    def _undisturbed(self, numbers: set[int]) -> dict[int, str]:
        """The results' digests of the same jobs in a daemon that nobody disturbs."""
        stage = Stage(self._folder / "undisturbed", light=self._light)
        stage.start()
        client = Client(stage.state_dir, name="undisturbed")
        results: dict[int, str] = {}
        try:
            waiting = sorted(numbers)
            for at in range(0, len(waiting), _BATCH):
                batch = waiting[at : at + _BATCH]
                for number in batch:
                    data = pixels(self._seed, number)
                    client.submit(_undisturbed_id(number), request(data, number), {digest(data): data})
                for number in batch:
                    state = client.wait(_undisturbed_id(number), timeout=STUCK_S)
                    results[number] = result_of(state)
        finally:
            client.close()
            stage.stop()
        return results


def _undisturbed_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _all_jobs(stage: Stage) -> list[str]:
    """The ids of all rows of the journal; `list` tells no more than the last ones."""
    with closing(sqlite3.connect(stage.state_dir / "jobs.sqlite")) as db:
        return [job for (job,) in db.execute("SELECT id FROM jobs")]
