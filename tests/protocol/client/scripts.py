"""What a small daemon can be told to do instead of its work, and a job to try it on."""

import os

import pytest

from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest

from ..small_daemon import SILENT

JOB = "1f0a3a52-7d0c-4f8b-9a52-0d6a3f1f2b11"
PIXELS = os.urandom(10_500)  # eleven chunks
NAME = digest(PIXELS)
REQUEST = {"inputs": {"source": {"digest": NAME}}}


def refused(call, *args, **options) -> str:
    """The code of the error that a call raises."""
    with pytest.raises(VelaturaError) as caught:
        call(*args, **options)
    return caught.value.code


class Once:
    """A script that does something the first time (or times) and leaves the rest to the daemon."""

    def __init__(self, act, times: int = 1, after: int = 0) -> None:
        self.act, self.times, self.after = act, times, after

    def __call__(self, message, payload):
        self.after -= 1
        if self.after >= 0 or self.times == 0:
            return None
        self.times -= 1
        return self.act(message, payload) if callable(self.act) else self.act


def raising(code: str):
    def act(*_):
        raise VelaturaError(code, "As the test wants it.")

    return act


def restarting(daemon):
    """A script that has the daemon killed and started again, and answers nothing."""

    def act(*_):
        daemon.restart_soon()
        return SILENT

    return act
