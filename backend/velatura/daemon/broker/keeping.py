"""Jobs and blobs that go: by age, for room, because they are damaged, or because the person asks for it."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from velatura.daemon import ballast
from velatura.jobs.clock import Clock
from velatura.jobs.database import damaged_ones
from velatura.jobs.retention import Policy, plan
from velatura.jobs.spool import Spool
from velatura.jobs.states import Job, State, input_digests, result_digests
from velatura.jobs.store import Journal
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster

log = logging.getLogger(__name__)

CACHE = "kept"
"""The folder of the worker's cache in the state directory: values that were computed from layers."""


class Keeper:
    """Used by the desk's thread only.

    Args:
        state_dir: the daemon's.
        journal: the jobs.
        spool: their blobs.
        cancel: cancels a job.
        changed: called with each job that another state was given here.
    """

    def __init__(
        self,
        state_dir: Path,
        journal: Journal,
        spool: Spool,
        *,
        cancel: Callable[[str], Job],
        changed: Callable[[Job], None],
    ) -> None:
        self._state_dir = state_dir
        self._journal = journal
        self._spool = spool
        self._cancel = cancel
        self._changed = changed
        self._policy = Policy()
        self._clock = Clock(state_dir / "clock")

    # Damage

    def check_results(self) -> None:
        """Runs the jobs again whose results are no longer whole, by their sizes."""
        for job in self._journal.in_states({State.DONE}):
            if not job.acknowledged and not self._is_whole(job):
                self._make_job_again(job)

    def make_again(self, digest: str) -> None:
        """Runs the jobs again whose result this damaged blob was, unless their clients have it."""
        for job in self._journal.some(self._journal.with_result(digest)):
            if job.state is State.DONE and not job.acknowledged:
                self._make_job_again(job)

    def _is_whole(self, job: Job) -> bool:
        layers: list[Any] = (job.result or {}).get("layers", [])
        if not all(map(self._spool.has, result_digests({"layers": layers}))):
            return False
        try:
            rasters = [Raster.from_wire(layer["raster"]) for layer in layers]
        except (VelaturaError, KeyError, TypeError):
            return True  # another version's, whose size is not known here
        return all(self._spool.size(raster.digest) == raster.nbytes for raster in rasters)

    def _make_job_again(self, job: Job) -> None:
        has_inputs = all(map(self._spool.is_sound, input_digests(job.request)))
        log.warning("the result of job %s is damaged; %s", job.id, "it runs again" if has_inputs else "lost")
        self._changed(self._journal.make_again(job.id, has_inputs=has_inputs))

    # Age and room

    def sweep(self, wanted: int = 0) -> None:
        """Deletes jobs and blobs that are no longer needed, to make room for `wanted` more bytes."""
        now = self._clock.now()
        for job in self._journal.in_states({State.UPLOADING}):
            if now - job.changed > self._policy.abandoned:
                self._cancel(job.id)
        policy = replace(self._policy, budget=self._spool.room() - wanted)
        going = plan(self._journal.references(), self._spool.stored(), now, policy)
        self._journal.forget(going.jobs)
        for blob in going.blobs:
            self._spool.remove(blob)
        if going.jobs or going.blobs:
            log.info("deleted %d jobs and %d blobs", len(going.jobs), len(going.blobs))
        if not wanted:
            ballast.take(self._state_dir)
            self._forget_damaged(now - self._policy.damaged)
            with suppress(VelaturaError, OSError):  # a full disk; the next sweep tries again
                self._journal.back_up()

    def _forget_damaged(self, before: float) -> None:
        for path in damaged_ones(self._state_dir):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()

    # The person's wish

    def forget(
        self, jobs: Collection[str] | None, digests: Collection[str], before: float
    ) -> tuple[int, int]:
        """Deletes ended jobs with their prompts and pixels, from the journal, its copies, spool and cache.

        A job that has not ended is cancelled; the next call deletes it.

        Args:
            jobs: ids; None for all.
            digests: jobs that read one of these blobs go, too.
            before: only jobs that last changed before this time, seconds since the epoch.

        Returns the numbers of deleted and of cancelled jobs.
        """
        going: set[str] = set()
        ending = 0
        for job in self._journal.in_states(set(State)):
            is_meant = (
                jobs is None or job.id in jobs or not set(digests).isdisjoint(input_digests(job.request))
            )
            if not is_meant or job.changed > before:
                continue
            if not job.ended:
                job = self._cancel(job.id)
            if job.ended:
                going.add(job.id)
            else:
                ending += 1
        references = self._journal.references()
        self._journal.erase(going)
        kept = {reference.digest for reference in references if reference.job not in going}
        gone = {reference.digest for reference in references if reference.job in going}
        if jobs is None:
            gone |= {blob.digest for blob in self._spool.stored() if abs(blob.age) > self._policy.fresh}
        for digest in gone - kept:
            self._spool.remove(digest)
        shutil.rmtree(self._state_dir / CACHE, ignore_errors=True)
        self._forget_damaged(math.inf)
        self._journal.back_up()
        log.info("%d jobs were forgotten, %d are being cancelled", len(going), ending)
        return len(going), ending
