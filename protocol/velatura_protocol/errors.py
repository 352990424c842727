"""The one exception of the protocol and its stable codes (SPEC section 3)."""

from __future__ import annotations

from .reading import JsonObject, as_object, text_of

CODES: frozenset[str] = frozenset({
    "bad-message", "unknown-message", "protocol-version", "wrong-token", "no-session", "bad-request",
    "unknown-method", "unknown-job", "unknown-blob", "unknown-model", "job-conflict", "blob-corrupt",
    "too-large", "bad-layer", "unsupported-colour", "empty-layer", "empty-mask", "mask-outside",
    "empty-prompt", "prompt-too-long", "disk-full", "out-of-memory", "worker-lost", "busy", "unavailable",
    "timeout", "not-running", "cancelled", "internal",
})  # fmt: skip


MAX_MESSAGE, MAX_DETAIL = 1000, 2000
"""Characters of an error's sentences, and of its detail, on the wire."""


class VelaturaError(Exception):
    """An error that the person, or the program on the other side, has to know.

    Args:
        code: one of `CODES`.
        message: one sentence that says what to do next.
        hint: more for the person; "" where there is no more.
        retryable: whether the same request may succeed later.
        detail: for the log; never shown by itself.
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

    def to_wire(self) -> JsonObject:
        """The error object of SPEC section 3, without `type` and `re`; texts are cut to its lengths."""
        return {
            "code": self.code,
            "message": _cut(self.message, MAX_MESSAGE),
            "hint": _cut(self.hint, MAX_MESSAGE),
            "retryable": self.retryable,
            "detail": _cut(self.detail, MAX_DETAIL),
        }

    @classmethod
    def from_wire(cls, value: object) -> VelaturaError:
        """Reads an object that `to_wire` made. A code that this version does not know becomes `internal`, and
        stands in the detail."""
        d = as_object(value) or {}
        code, detail = text_of(d, "code"), text_of(d, "detail")
        if code not in CODES:
            detail = f"{code or 'no code'}: {detail}"
            code = "internal"
        message = text_of(d, "message") or "Something failed in Velatura's daemon; try again, or restart it."
        hint, retryable = text_of(d, "hint"), d.get("retryable") is True
        return cls(code, message, hint=hint, retryable=retryable, detail=detail)


def _cut(text: object, most: int) -> str:
    """At most `most` characters, all of which UTF-8 can hold: file names may have unpaired surrogates."""
    whole = str(text)
    short = whole if len(whole) <= most else whole[: most - 1] + "…"
    return short.encode("utf-8", "replace").decode("utf-8")
