"""The one exception of the protocol and its stable codes (SPEC section 3)."""

from __future__ import annotations

CODES: frozenset[str] = frozenset({
    "bad-message", "unknown-message", "protocol-version", "wrong-token", "no-session", "bad-request",
    "unknown-method", "unknown-job", "unknown-blob", "unknown-model", "job-conflict", "blob-corrupt",
    "too-large", "bad-layer", "unsupported-colour", "empty-layer", "empty-mask", "mask-outside",
    "empty-prompt", "prompt-too-long", "disk-full", "out-of-memory", "worker-lost", "busy", "unavailable",
    "timeout", "not-running", "cancelled", "internal",
})  # fmt: skip


class VelaturaError(Exception):
    """Something the person, or the program on the other side, has to know.

    code: one of `CODES`. message: one sentence that says what to do next. hint: more, if there is more.
    retryable: whether the same request may succeed later. detail: for the log, never shown by itself.
    """

    def __init__(
        self, code: str, message: str, *, hint: str = "", retryable: bool = False, detail: str = ""
    ) -> None:
        super().__init__(message)
        if code not in CODES:
            raise ValueError(f"{code!r} is not a code of the protocol")
        self.code = code
        self.message = message
        self.hint = hint
        self.retryable = retryable
        self.detail = detail

    def __repr__(self) -> str:
        return f"VelaturaError({self.code!r}, {self.message!r})"

    def to_wire(self) -> dict:
        """The error object of SPEC section 3, without `type` and `re`."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
            "detail": self.detail,
        }

    @classmethod
    def from_wire(cls, d: dict) -> VelaturaError:
        """Reads what `to_wire` made; a code that this version does not know becomes `internal`, and is kept
        in the detail."""
        if not isinstance(d, dict):
            d = {}
        code = d.get("code")
        detail = _text(d.get("detail"))
        if not isinstance(code, str) or code not in CODES:
            detail = f"{_text(code) or 'no code'}: {detail}"
            code = "internal"
        message = _text(d.get("message")) or "Something failed in the Velatura daemon; its log says what."
        return cls(
            code, message, hint=_text(d.get("hint")), retryable=d.get("retryable") is True, detail=detail
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
