"""Blobs: whole or absent, resumed where they stand, refused without room, let go in the right order."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.patience import patience
from velatura.jobs.retention import DAY, Plan, Policy, plan
from velatura.jobs.spool import Spool, Stored
from velatura.jobs.states import Reference, State
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest

DATA = bytes(range(256)) * 1000


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path)


def upload(spool, data=DATA, name=None):
    upload = spool.upload(name or digest(data), len(data))
    upload.append(memoryview(data)[upload.offset :])
    upload.finish()


def partials(tmp_path):
    return list((tmp_path / "partial").iterdir())


def test_what_is_uploaded_can_be_read(spool, tmp_path):
    upload(spool)
    assert spool.has(digest(DATA))
    assert spool.size(digest(DATA)) == len(DATA)
    assert spool.read(digest(DATA))[:] == DATA
    assert spool.slice(digest(DATA), 10, 20) == (DATA[10:30], len(DATA))
    assert not partials(tmp_path)


def test_what_is_put_can_be_read(spool, tmp_path):
    assert spool.put(DATA) == spool.put(DATA) == digest(DATA)
    assert spool.read(digest(DATA))[:] == DATA
    assert not partials(tmp_path)


@given(st.lists(st.integers(0, len(DATA)), max_size=5))
def test_an_upload_goes_on_where_it_stood(tmp_path_factory, cuts):
    root = tmp_path_factory.mktemp("spool")
    for cut in cuts:  # each time another process, as it were
        arriving = Spool(root).upload(digest(DATA), len(DATA))
        if cut > arriving.offset:
            arriving.append(memoryview(DATA)[arriving.offset : cut])
        arriving.close()
    upload(Spool(root))
    assert Spool(root).read(digest(DATA))[:] == DATA


def test_wrong_bytes_are_refused_and_the_upload_begins_again(spool):
    arriving = spool.upload(digest(DATA), len(DATA))
    arriving.append(memoryview(DATA[:-1] + b"x"))
    with pytest.raises(VelaturaError) as raised:
        arriving.finish()
    assert raised.value.code == "blob-corrupt"
    assert not spool.has(digest(DATA))
    assert arriving.offset == 0
    arriving.append(memoryview(DATA))
    arriving.finish()
    assert spool.has(digest(DATA))


def test_more_bytes_than_announced_are_refused(spool):
    arriving = spool.upload(digest(DATA), len(DATA))
    with pytest.raises(VelaturaError) as raised:
        arriving.append(memoryview(DATA + b"x"))
    assert raised.value.code == "blob-corrupt"
    arriving.close()


def test_a_partial_file_longer_than_announced_is_cut(spool, tmp_path):
    (tmp_path / "partial" / digest(DATA).removeprefix("blake2b:")).write_bytes(DATA + b"left over")
    upload(spool)
    assert spool.read(digest(DATA))[:] == DATA


@pytest.mark.parametrize(("size", "code"), [(0, "bad-request"), (4 * 1024**3 + 1, "too-large")])
def test_sizes_are_checked_before_anything_is_written(spool, tmp_path, size, code):
    with pytest.raises(VelaturaError) as raised:
        spool.upload(digest(DATA), size)
    assert raised.value.code == code
    assert not partials(tmp_path)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "blake2b:" + "g" * 64, "blake2b:" + "A" * 64])
def test_names_that_are_no_digests_reach_no_file(spool, name):
    with pytest.raises(VelaturaError) as raised:
        spool.upload(name, 10)
    assert raised.value.code == "bad-request"


def test_a_budget_is_kept(tmp_path):
    spool = Spool(tmp_path, budget=len(DATA) + 10)
    upload(spool)
    with pytest.raises(VelaturaError) as raised:
        spool.upload(digest(b"x"), 11)
    assert raised.value.code == "disk-full"
    assert raised.value.retryable


def test_the_reserve_of_the_disk_is_kept(tmp_path):
    spool = Spool(tmp_path, reserve=2**60)
    with pytest.raises(VelaturaError) as raised:
        spool.upload(digest(DATA), len(DATA))
    assert raised.value.code == "disk-full"


def test_damage_on_the_disk_is_noticed(spool):
    upload(spool)
    spool.path(digest(DATA)).write_bytes(DATA[::-1])
    with pytest.raises(VelaturaError) as raised:
        spool.read(digest(DATA))
    assert raised.value.code == "blob-corrupt"
    assert not spool.has(digest(DATA))


def test_unknown_blobs_are_said_to_be_unknown(spool):
    for ask in (spool.read, spool.size, lambda name: spool.slice(name, 0, 1)):
        with pytest.raises(VelaturaError) as raised:
            ask(digest(b"nothing"))
        assert raised.value.code == "unknown-blob"


FILL = """
import resource, sys
from pathlib import Path
from velatura.jobs.spool import Spool
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
spool, data = Spool(Path(sys.argv[1])), b"x" * 300_000
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
upload = spool.upload(digest(data), len(data))
upload.append(memoryview(data)[:150_000])
for attempt in (lambda: upload.append(memoryview(data)[150_000:]), lambda: spool.put(data)):
    try:
        attempt()
    except VelaturaError as error:
        print(error.code, upload.offset)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
upload.append(memoryview(data)[150_000:])
upload.finish()
print(spool.has(digest(data)), *(path.name for path in Path(sys.argv[1], "partial").iterdir()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the size of files")
def test_a_file_that_cannot_grow_is_a_full_disk_and_the_upload_goes_on_later(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )
    assert ran.stdout.split("\n")[:3] == ["disk-full 150000", "disk-full 150000", "True"], ran.stderr


def test_idle_uploads_are_dropped(spool, tmp_path):
    for name in (b"old", b"new"):
        spool.upload(digest(name), 10).close()
    old = tmp_path / "partial" / digest(b"old").removeprefix("blake2b:")
    os.utime(old, (time.time() - 3700,) * 2)
    spool.drop_idle_uploads(3600)
    assert [path.name for path in partials(tmp_path)] == [digest(b"new").removeprefix("blake2b:")]


# What may go

NOW = 1e9
POLICY = Policy(budget=100)


def tie(job, blob, state=State.DONE, *, acknowledged=True, age=DAY, is_result=True, is_draft=False):
    return Reference(job, state, acknowledged, NOW - age, blob, is_result, is_draft)


def draft(job, blob, state=State.DONE, *, age):
    return tie(job, blob, state, acknowledged=False, age=age, is_result=False, is_draft=True)


def blob(name, size=10, age=DAY):
    return Stored(name, size, age)


def test_nothing_goes_while_there_is_room():
    assert plan([tie("a", "x")], [blob("x")], NOW, POLICY) == Plan()


def test_blobs_of_no_job_go_after_an_hour():
    assert plan([], [blob("x", age=3601), blob("y", age=3599)], NOW, POLICY) == Plan([], ["x"])


def test_old_jobs_are_forgotten_and_their_blobs_with_them():
    ties = [tie("a", "x", age=8 * DAY), tie("b", "y", acknowledged=False, age=8 * DAY)]
    assert plan(ties, [blob("x"), blob("y")], NOW, POLICY) == Plan(["a"], ["x"])
    ties = [tie("b", "y", acknowledged=False, age=31 * DAY)]
    assert plan(ties, [blob("y")], NOW, POLICY) == Plan(["b"], ["y"])


def test_for_room_the_oldest_acknowledged_results_go_first():
    ties = [
        tie("new", "n", age=1 * DAY),
        tie("old", "o", age=3 * DAY),
        tie("failed", "f", State.FAILED, acknowledged=False, age=5 * DAY, is_result=False),
        tie("waits", "w", acknowledged=False, age=6 * DAY),
    ]
    stored = [blob(name, 40) for name in "nofw"]
    assert plan(ties, stored, NOW, POLICY).blobs == ["o", "n"]
    assert plan(ties, stored, NOW, Policy(budget=40)).blobs == ["o", "n", "f"]


def test_drafts_go_soon_and_leave_what_others_need():
    ties = [
        draft("old", "x", age=601),
        draft("old", "y", age=601),
        draft("stopped", "x", State.CANCELLED, age=601),
        draft("new", "y", age=599),
        draft("runs", "z", State.STARTED, age=DAY),
        tie("edit", "x", age=DAY),
    ]
    stored = [blob("x"), blob("y"), blob("z"), blob("w", age=DAY)]
    assert plan(ties, stored, NOW, POLICY) == Plan(["old", "stopped"], ["w"])
    assert plan(ties[:3], stored[:2], NOW, POLICY) == Plan(["old", "stopped"], ["x", "y"])


def test_for_room_a_draft_holds_no_more_than_what_was_acknowledged():
    ties = [draft("d", "x", age=60), tie("r", "y", State.FAILED, acknowledged=False, is_result=False)]
    assert plan(ties, [blob("x", 60), blob("y", 60)], NOW, POLICY).blobs == ["x"]


states = st.sampled_from(list(State))
ties = st.builds(
    tie,
    st.sampled_from("abcd"),
    st.sampled_from("uvwxyz"),
    states,
    acknowledged=st.booleans(),
    age=st.floats(0, 40 * DAY),
    is_result=st.booleans(),
    is_draft=st.booleans(),
)
blobs = st.builds(blob, st.sampled_from("uvwxyz"), st.integers(1, 60), st.floats(0, 40 * DAY))


@given(st.lists(ties), st.lists(blobs, unique_by=lambda b: b.digest), st.integers(0, 300))
def test_what_is_needed_never_goes(ties, stored, budget):
    one_state = {tie.job: tie for tie in ties}  # a job has one state, one age; a draft no result
    ties = [
        replace(one, digest=t.digest, is_result=t.is_result and not one.is_draft)
        for t in ties
        for one in [one_state[t.job]]
    ]
    going = plan(ties, stored, NOW, Policy(budget=budget))
    for t in ties:
        unfinished = t.state in (State.UPLOADING, State.QUEUED, State.STARTED)
        waits = t.state is State.DONE and not (t.acknowledged or t.is_draft) and NOW - t.changed <= 30 * DAY
        if unfinished or (waits and t.is_result):
            assert t.digest not in going.blobs
        if unfinished or waits:
            assert t.job not in going.jobs
    kept = sum(b.size for b in stored if b.digest not in going.blobs)
    cached = [b for b in stored if b.digest not in going.blobs and b.age > POLICY.fresh]
    held = {t.digest for t in ties if t.state not in (State.DONE, State.FAILED, State.CANCELLED)}
    held |= {t.digest for t in ties if t.state is State.DONE and not t.acknowledged and t.is_result}
    young = {b.digest for b in stored if b.age <= POLICY.orphan}
    assert kept <= budget or all(b.digest in held | young for b in cached)
