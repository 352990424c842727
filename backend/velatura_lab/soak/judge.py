"""The judgement: what became of every job, by the ledgers, the daemon and an undisturbed run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from velatura_lab.soak.ledger import Entry, is_to_be_cancelled

EXCUSED = {"failed worker-lost", "failed disk-full", "failed internal", "failed unavailable"}
"""Ends that are right for a job whose worker died twice, or met a fault of the disk."""


@dataclass
class Verdict:
    """Jobs by what is wrong with them; each a sentence.

    Args:
        lost: acknowledged, and without an end, or no longer known.
        doubled: ended twice, or has the results of two runs.
        wrong: ended with other bytes than undisturbed, or with an error that no fault explains.
        refused: refused with an error that does not pass.
        ends: the number of jobs by their end.
    """

    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])
    ends: Counter[str] = field(default_factory=Counter[str])

    @property
    def problems(self) -> list[str]:
        """All of them, each with its kind."""
        named = {"lost": self.lost, "doubled": self.doubled, "wrong": self.wrong, "refused": self.refused}
        return [f"{kind}: {sentence}" for kind, sentences in named.items() for sentence in sentences]


def judge(
    entries: Mapping[str, Entry],
    known: Mapping[str, tuple[str, str]],
    undisturbed: Mapping[int, str],
    worker_faults: int,
) -> Verdict:
    """Compares what the clients were told with what the daemon knows and with an undisturbed run.

    Args:
        entries: of all ledgers, by job.
        known: the state, with an error's code, and the result's digest of every job that the daemon has.
        undisturbed: the digest of each job's result by its number.
        worker_faults: kills of the worker, and failed calls in it: so many jobs may fail, and not one more.
    """
    verdict = Verdict()
    failed: list[str] = []
    for job, entry in entries.items():
        name = f"job {entry.number} ({job})"
        if entry.problem and not entry.acknowledged:
            verdict.refused.append(f"{name}: {entry.problem}")
            continue
        if not entry.acknowledged:
            verdict.lost.append(f"{name} was never answered")
            continue
        if not entry.ends or entry.problem:
            verdict.lost.append(f"{name}: {entry.problem or 'no end was told'}")
            continue
        if len(entry.ends) > 1 or len(entry.fetched) > 1:
            verdict.doubled.append(f"{name} ended as {entry.ends}, with {entry.fetched}")
            continue
        end, result = entry.ends[0]
        verdict.ends[end] += 1
        if job not in known:
            verdict.lost.append(f"{name} is no longer known to the daemon")
        elif known[job] != (end, result):
            verdict.doubled.append(f"{name} ended as {end}, and the daemon has {known[job]}")
        if end == "done":
            right = undisturbed.get(entry.number)
            if result != right or entry.fetched != [right]:
                verdict.wrong.append(f"{name} has the result {result}, undisturbed {right}")
        elif end == "cancelled":
            if not is_to_be_cancelled(entry.number):
                verdict.wrong.append(f"{name} was cancelled by nobody")
        elif end in EXCUSED:
            failed.append(f"{name} {end}")
        else:
            verdict.wrong.append(f"{name} {end}")
    if len(failed) > worker_faults:
        verdict.wrong += [f"{one}, more than the worker's {worker_faults} faults explain" for one in failed]
    verdict.doubled += [f"job {job} is nobody's" for job in known if job not in entries]
    return verdict
