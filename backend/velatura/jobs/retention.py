"""What the daemon may let go, decided without touching anything: rows in, decisions out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from velatura.jobs.spool import Stored
from velatura.jobs.states import UNFINISHED, State
from velatura.jobs.store import Reference

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True)
class Policy:
    """How long things stay, in seconds.

    unacknowledged: a result waits for its client. ended: other ended jobs, and their blobs, are remembered
    while there is room. draft: an ended draft, for a client that asks again, and its inputs, for its next
    one. orphan: a blob that no job knows. upload: an upload that stands still. abandoned: a
    job whose inputs never came. fresh: a blob just written, perhaps by a result that is still being noted
    down. budget: bytes of all blobs together.
    """

    unacknowledged: float = 30 * DAY
    ended: float = 7 * DAY
    draft: float = HOUR / 6
    orphan: float = HOUR
    upload: float = HOUR
    abandoned: float = DAY
    fresh: float = 60.0
    budget: int = 32 * 1024**3


@dataclass(frozen=True)
class Plan:
    """jobs: to be forgotten. blobs: to be removed."""

    jobs: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)


def plan(references: Collection[Reference], stored: Collection[Stored], now: float, policy: Policy) -> Plan:
    """Decides what goes.

    Never: a blob of an unfinished job, or of a result that waits for its client for less than
    `policy.unacknowledged`. For age: jobs and their blobs, blobs of no job. For room: blobs of ended jobs,
    the acknowledged ones and the drafts first, within these the oldest first.
    """
    too_old = {r.job for r in references if _too_old(r, now, policy)}
    kept = [r for r in references if r.job not in too_old]
    held = {r.digest for r in kept if _held(r)}
    # a blob that several jobs used goes with the one that would keep it longest
    worth: dict[str, tuple[bool, float]] = {}
    for r in kept:
        awaited = not (r.acknowledged or r.is_draft)
        worth[r.digest] = max(worth.get(r.digest, (False, 0.0)), (awaited, r.changed))

    go = [b for b in stored if b.digest not in worth and b.age > policy.orphan]
    total = sum(b.size for b in stored) - sum(b.size for b in go)
    cached = [b for b in stored if b.digest in worth and b.digest not in held and b.age > policy.fresh]
    for blob in sorted(cached, key=lambda b: worth[b.digest]):
        if total <= policy.budget:
            break
        go.append(blob)
        total -= blob.size
    return Plan(sorted(too_old), [b.digest for b in go])


def _held(r: Reference) -> bool:
    return r.state in UNFINISHED or (r.state is State.DONE and not r.acknowledged and r.is_result)


def _too_old(r: Reference, now: float, policy: Policy) -> bool:
    if r.state in UNFINISHED:
        return False
    if r.is_draft:
        return now - r.changed > policy.draft
    waits = r.state is State.DONE and not r.acknowledged
    return now - r.changed > (policy.unacknowledged if waits else policy.ended)
