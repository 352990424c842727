"""File handles: how many the daemon may have, and how many of them connections may use."""

from __future__ import annotations

import contextlib

try:
    import resource
except ImportError:  # Windows, whose sockets are not counted among files
    resource = None

WANTED = 16_384
# For the journal, the spool, the worker and libzmq's own; and for a thousand connections that the gate has
# not counted yet, since that many events may wait for it.
RESERVED = 256 + 1024
LEAST = 64


def raise_limit() -> None:
    """Raises this process's soft limit, often 1,024 or, on macOS, 256, as far as it is allowed to."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (WANTED, 10_240):  # the latter: macOS reports no hard limit, and accepts no more
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def for_connections(wanted: int) -> int:
    """`wanted`, or fewer where this process has no more handles besides its own needs."""
    if resource is None:
        return wanted
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if soft == resource.RLIM_INFINITY else max(LEAST, min(wanted, soft - RESERVED))
