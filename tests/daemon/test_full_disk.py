"""A disk that is full: everything that needs room is refused in a sentence, and the daemon stays up."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

from tests.daemon.raw import MiB, Raw
from tests.daemon.samples import new_job, raster, request
from tests.daemon_fixture import Daemon, wait_for

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root can make a small disk (a tmpfs)"
    ),
]


@pytest.fixture(params=[4])
def small_disk(tmp_path, request):
    """So many MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "none", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this root may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_the_daemon_outlives_a_full_disk(small_disk):
    with (
        Daemon(small_disk / "state", prestart=False, disk_reserve=1) as daemon,
        Raw(daemon.connection) as raw,
    ):
        assert raw.upload(os.urandom(5 * MiB))["code"] == "disk-full"
        assert raw.upload(os.urandom(MiB))["stored"]
        fill(small_disk / "filler")

        wanted = request(inputs={"source": raster(os.urandom(64)), "mask": None}, prompt="x" * 1900)
        answers = [submit(raw, wanted) for _ in range(50)]
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert refused
        assert {(answer["code"], answer["retryable"]) for answer in refused} == {("disk-full", True)}
        assert raw.upload(os.urandom(MiB))["code"] == "disk-full"
        assert raw.ask({"type": "ping"})["type"] == "pong"

        (small_disk / "filler").unlink()
        assert submit(raw, wanted)["type"] == "job"
        assert raw.upload(os.urandom(MiB))["stored"]
        accepted = [answer["job"] for answer in answers if answer["type"] == "job"]
        daemon.kill()
        daemon.restart()
        with Raw(daemon.connection) as again:
            known = again.ask({"type": "list"})["jobs"]
            assert set(accepted) <= {job["job"] for job in known}


@pytest.mark.parametrize("small_disk", [24], indirect=True)
def test_a_daemon_starts_on_a_full_disk_and_makes_room(small_disk, no_torch):
    with Daemon(small_disk / "state", no_torch, prestart=False, sweep=0.2, disk_reserve=1) as daemon:
        wait_for((small_disk / "state" / "ballast").exists, 30, "it takes no room")
        daemon.stop()
        fill(small_disk / "filler")
        daemon.start()
        with Raw(daemon.connection) as raw:
            assert raw.ask({"type": "list"})["type"] == "jobs"
            assert raw.ask({"type": "ping"})["type"] == "pong"


def submit(raw, wanted):
    return raw.ask({"type": "submit", "job": new_job(), "request": wanted})


def fill(path):
    with open(path, "wb", buffering=0) as file:
        for size in (MiB // 4, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass
