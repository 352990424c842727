"""Exit codes of the command line, and the errors that they stand for."""

from __future__ import annotations

OK, REFUSED, USAGE, UNREACHABLE, FAILED, CANCELLED, FILES, FAULT = range(8)

HELP = """exit codes:
  0  success
  1  the input was refused (a picture, a mask, a prompt, a value), or doctor found a fault
  2  the command line has a mistake
  3  the daemon could not be reached or started
  4  the edit failed
  5  the edit was cancelled: by Ctrl+C, by --timeout or by another client
  6  a file could not be written, or one other than the picture could not be read
  7  a fault of Velatura itself
"""

_UNREACHABLE = {
    "not-running",
    "wrong-token",
    "protocol-version",
    "unavailable",
    "timeout",
    "no-session",
    "busy",
}
_FAILED = {"worker-lost", "out-of-memory", "disk-full", "blob-corrupt", "internal"}


def exit_code(code: str) -> int:
    """Return the exit code for an error of the protocol (SPEC section 3)."""
    if code == "cancelled":
        return CANCELLED
    if code in _UNREACHABLE:
        return UNREACHABLE
    return FAILED if code in _FAILED else REFUSED
