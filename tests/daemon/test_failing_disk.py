"""A disk that fails at a write, a sync or a rename: the upload is refused as something that passes."""

from __future__ import annotations

import errno
import os

import pytest

from velatura.jobs.spool import Spool
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest

DATA = memoryview(b"pixels" * 1000)


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("way", ["upload", "put"])
def test_a_failed_call_is_tried_again(tmp_path, monkeypatch, way, call, number):
    spool = Spool(tmp_path)
    upload = spool.upload(digest(DATA), DATA.nbytes)

    def keep():
        if way == "put":
            spool.put(DATA)
        else:
            upload.append(DATA[upload.offset :])
            upload.finish()

    def fail(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as failing:
        failing.setattr(os, call, fail)
        with pytest.raises(VelaturaError) as refused:
            keep()
    assert (refused.value.code, refused.value.retryable) == ("unavailable", True)
    assert not spool.has(digest(DATA))
    keep()
    assert bytes(spool.read(digest(DATA))) == bytes(DATA)
    upload.close()
