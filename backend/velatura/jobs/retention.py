"""Which jobs and blobs the daemon may delete: pure functions from rows to decisions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from velatura.jobs.spool import Stored
from velatura.jobs.states import UNFINISHED, Reference, State

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True)
class Policy:
    """How long jobs and blobs are kept, in seconds, and how much they may take up.

    Args:
        unacknowledged: a result that its client has not acknowledged.
        ended: any other ended job, and its blobs while there is room.
        draft: an ended draft, for a client that asks for it again, and its inputs, for the next draft.
        orphan: a blob that no job refers to.
        upload: an upload that has stopped growing.
        abandoned: a job whose inputs never arrived.
        damaged: a damaged journal that was moved aside.
        fresh: a blob just written; the journal may not yet hold the result that refers to it.
        budget: bytes of all blobs together.
    """

    unacknowledged: float = 30 * DAY
    ended: float = 7 * DAY
    draft: float = HOUR / 6
    orphan: float = HOUR
    upload: float = HOUR
    abandoned: float = DAY
    damaged: float = 30 * DAY
    fresh: float = 60.0
    budget: int = 32 * 1024**3


@dataclass(frozen=True)
class Plan:
    """jobs: ids to delete from the journal. blobs: digests to delete from the spool."""

    jobs: list[str] = field(default_factory=list[str])
    blobs: list[str] = field(default_factory=list[str])


def plan(references: Collection[Reference], stored: Collection[Stored], now: float, policy: Policy) -> Plan:
    """Decides which jobs and blobs to delete.

    A blob stays if an unfinished job needs it, or a result that was not acknowledged and is younger than
    `policy.unacknowledged`. Jobs and blobs that are too old are deleted. Where the budget is exceeded, blobs
    of ended jobs are deleted until it holds: those of acknowledged jobs and of drafts first, among these the
    oldest first.

    Args:
        references: every pair of a job and a blob.
        stored: the blobs in the spool.
        now: seconds since the epoch, by a clock that does not jump forward (`clock.Clock`).
        policy: the ages and the budget.
    """
    too_old = {r.job for r in references if _too_old(r, now, policy)}
    kept = [r for r in references if r.job not in too_old]
    held = {r.digest for r in kept if _held(r)}
    # a blob of several jobs is kept as long as the one of them that keeps it longest
    worth: dict[str, tuple[bool, float]] = {}
    for r in kept:
        awaited = not (r.acknowledged or r.is_draft)
        worth[r.digest] = max(worth.get(r.digest, (False, 0.0)), (awaited, r.changed))

    deleted = [b for b in stored if b.digest not in worth and abs(b.age) > policy.orphan]
    total = sum(b.size for b in stored) - sum(b.size for b in deleted)
    # written in the future: the clock was set back since
    cached = [b for b in stored if b.digest in worth and b.digest not in held and abs(b.age) > policy.fresh]
    for blob in sorted(cached, key=lambda b: worth[b.digest]):
        if total <= policy.budget:
            break
        deleted.append(blob)
        total -= blob.size
    return Plan(sorted(too_old), [b.digest for b in deleted])


def _held(r: Reference) -> bool:
    return r.state in UNFINISHED or (r.state is State.DONE and not r.acknowledged and r.is_result)


def _too_old(r: Reference, now: float, policy: Policy) -> bool:
    if r.state in UNFINISHED:
        return False
    if r.is_draft:
        return now - r.changed > policy.draft
    waits = r.state is State.DONE and not r.acknowledged
    return now - r.changed > (policy.unacknowledged if waits else policy.ended)
