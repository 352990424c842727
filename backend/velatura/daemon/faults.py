"""Errors that more than one part of the daemon raises."""

from __future__ import annotations

from velatura_protocol.errors import VelaturaError


def internal(error: BaseException) -> VelaturaError:
    """A fault of ours."""
    sentence = "Something failed in the Velatura daemon; its log says what."
    return VelaturaError("internal", sentence, detail=repr(error)[:500])


def no_session() -> VelaturaError:
    return VelaturaError("no-session", "The daemon does not know this client any more.", retryable=True)


def no_number(kind: str) -> VelaturaError:
    """A request without `seq`."""
    return VelaturaError("bad-message", "A message has no number; update the plugin.", detail=kind)


def unknown_message(kind: str) -> VelaturaError:
    return VelaturaError(
        "unknown-message", "The daemon is too old for this; update it.", detail=f"{kind:.80}"
    )
