"""Turns every exception into an error with one sentence, and an exit code."""

from __future__ import annotations

import errno

from velatura.cli import exits
from velatura_protocol.errors import VelaturaError


class NotWritten(VelaturaError):
    """A result that the daemon keeps, because it could not be written. exit_code: of the cause."""

    def __init__(self, cause: VelaturaError, exit_code: int, message: str) -> None:
        super().__init__(cause.code, message, hint=cause.hint, retryable=cause.retryable, detail=cause.detail)
        self.exit_code = exit_code


def refusal(error: BaseException) -> tuple[VelaturaError, int]:
    """The error for the person, and the exit code (see `exits`)."""
    if isinstance(error, NotWritten):
        return error, error.exit_code
    if isinstance(error, VelaturaError):
        return error, exits.exit_code(error.code)
    if isinstance(error, KeyboardInterrupt):
        return VelaturaError("cancelled", "Interrupted."), exits.CANCELLED
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        kind = "disk-full" if error.errno == errno.ENOSPC else "bad-request"
        return VelaturaError(kind, f"{where}{error.strerror or error}."), exits.FILES
    told = f"Velatura failed ({type(error).__name__}: {error}); --debug shows where."
    return VelaturaError("internal", told), exits.FAULT


def sentence(error: VelaturaError) -> str:
    """The error on one line, with its hint."""
    hint = f" ({error.hint})" if error.hint else ""
    return f"{' '.join(error.message.split())}{hint}"
