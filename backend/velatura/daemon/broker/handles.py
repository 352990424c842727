"""File handles: how many the daemon may have, and how many of them connections may take."""

from __future__ import annotations

import contextlib

try:
    import resource
except ImportError:  # Windows, whose sockets are not counted among files
    resource = None

WANTED = 16_384
# For the journal, the spool, the worker and libzmq's own; and for a thousand connections of which the gate
# has not been told yet, since so many events may wait for it.
RESERVED = 256 + 1024
LEAST = 64


def raise_limit() -> None:
    """Raises this process's soft limit, often 1,024 or, on macOS, 256, as far as it is allowed to."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (WANTED, 10_240):  # the latter: macOS says that there is no hard limit, and takes no more
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def for_connections(wanted: int) -> int:
    """`wanted`, or as many as this process has handles for beside those that it needs itself."""
    if resource is None:
        return wanted
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if soft == resource.RLIM_INFINITY else max(LEAST, min(wanted, soft - RESERVED))
