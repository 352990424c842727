"""Jobs that end with the client that asked for them (`lease` in the request)."""

from __future__ import annotations

import time


class Leases:
    """The session that holds each unfinished leased job.

    Sessions do not outlive the daemon. After its restart, the first client that watches or submits such a job
    again within three heartbeats takes it over.
    """

    def __init__(self, heartbeat: float) -> None:
        self._holders: dict[str, str] = {}
        self._orphans: dict[str, float] = {}
        self._patience = 3 * heartbeat

    def hold(self, job: str, session: str) -> None:
        """`session` has submitted the job."""
        self._orphans.pop(job, None)
        self._holders[job] = session

    def orphan(self, job: str) -> None:
        """The job is in the journal after a restart; no session holds it."""
        self._orphans[job] = time.monotonic() + self._patience

    def adopt(self, job: str, session: str) -> None:
        """`session` watches the job, and takes it over if no session holds it."""
        if job in self._orphans:
            self.hold(job, session)

    def release(self, job: str) -> None:
        """The job has ended."""
        self._holders.pop(job, None)
        self._orphans.pop(job, None)

    def vanished(self, session: str) -> list[str]:
        """The jobs to cancel because this client has vanished."""
        return [job for job, holder in self._holders.items() if holder == session]

    def expired(self) -> list[str]:
        """The jobs to cancel because no client has taken them over in time."""
        now = time.monotonic()
        return [job for job, end in self._orphans.items() if now > end]
