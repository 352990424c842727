"""Single bits that change on the disk, syncs that fail, a clock that jumps: nothing acknowledged is lost."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
import time

import pytest

from tests.daemon.samples import new_job, pixels, raster, request
from velatura.daemon.broker.keeping import Keeper
from velatura.daemon.broker.scheduler import Running, Scheduler
from velatura.jobs import upload
from velatura.jobs.clock import DAY, Clock
from velatura.jobs.database import DAMAGED
from velatura.jobs.retention import Policy, plan
from velatura.jobs.spool import Spool, Stored
from velatura.jobs.states import MAX_ATTEMPTS, Reference, State
from velatura.jobs.store import Journal
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest, request_digest

RESULT = {"seconds": 1.0, "layers": [{"raster": raster(pixels(seed=1))}]}
DATA = bytes(range(256)) * 1000
JOBS = 24


def create(journal, **changes):
    wanted = request(**changes)
    return journal.create(new_job(), request_digest(wanted), wanted, "T", state=State.QUEUED)[0].id


def done(journal):
    job = create(journal)
    journal.start(job)
    journal.finish(job, 1, RESULT)
    return job


# The journal


def written(folder, *, backup, clean):
    """A journal's files, as they lie after its daemon ended or was killed; and its jobs."""
    folder.mkdir()
    journal = Journal(folder / "jobs.sqlite")
    jobs = [done(journal) if i % 3 else create(journal, prompt="x" * (i * 37 % 500)) for i in range(JOBS)]
    if backup:
        journal.back_up()
    if clean:
        journal.close()
    copy = folder / "copy"
    copy.mkdir()
    for path in folder.glob("jobs.sqlite*"):
        shutil.copy(path, copy)
    journal.close()
    return copy, jobs


@pytest.mark.parametrize(
    ("name", "backup"), [("jobs.sqlite", False), ("jobs.sqlite", True), ("jobs.sqlite-wal", False)]
)
def test_a_changed_bit_in_the_journal_costs_one_job_at_most_and_none_with_a_backup(tmp_path, name, backup):
    files, jobs = written(tmp_path / "before", backup=backup, clean=name == "jobs.sqlite")
    chance = random.Random(name)
    size = (files / name).stat().st_size
    # each byte of the header that SQLite reads before anything else, and some of the rest
    spots = [*range(16, 60, 5), *(chance.randrange(100, size) for _ in range(12))]
    for number, byte in enumerate(spots):
        folder = tmp_path / str(number)
        shutil.copytree(files, folder)
        content = bytearray((folder / name).read_bytes())
        content[byte] ^= 1 << chance.randrange(8)
        (folder / name).write_bytes(content)
        journal = Journal(folder / "jobs.sqlite")
        known = {job.id: job.state for job in journal.in_states(set(State))}
        create(journal)
        journal.close()
        lost = [job for job in jobs if known.get(job, State.FAILED) is State.FAILED]
        assert len(lost) <= (0 if backup else 1), (byte, content[byte])


def test_a_flipped_version_is_no_newer_velatura(tmp_path):
    files, jobs = written(tmp_path / "before", backup=False, clean=True)
    with sqlite3.connect(files / "jobs.sqlite") as db:
        db.execute("PRAGMA user_version = 3")
    db.close()
    journal = Journal(files / "jobs.sqlite")
    assert {job.id for job in journal.in_states(set(State))} == set(jobs)
    journal.close()
    assert list(files.glob(f"*{DAMAGED}*")), "the damaged one stays, for a while"


def test_a_tie_that_is_lost_is_made_again(tmp_path):
    """Else the result would count as nobody's, and go."""
    journal = Journal(tmp_path / "jobs.sqlite")
    job = done(journal)
    journal.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as db:
        db.execute("DELETE FROM blobs")
    db.close()
    journal = Journal(tmp_path / "jobs.sqlite")
    assert journal.with_result(RESULT["layers"][0]["raster"]["digest"]) == [job]
    journal.close()


def test_what_is_erased_is_in_no_file_of_the_journal(tmp_path):
    journal = Journal(tmp_path / "jobs.sqlite")
    kept, gone = create(journal, prompt="a red hat"), create(journal, prompt="a secret wish")
    journal.back_up()
    journal.ask_to_cancel(gone)
    journal.erase([gone])
    journal.back_up()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"red hat" in content
    assert b"secret" not in content
    assert [job.id for job in journal.in_states(set(State))] == [kept]
    journal.close()


def test_the_daemons_deaths_are_not_the_jobs_until_there_are_ten(tmp_path):
    journal = Journal(tmp_path / "jobs.sqlite")
    job = create(journal)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert journal.start(job).attempts == attempt
        (ended,) = journal.recover()
        assert ended.losses == 0
        assert ended.state is (State.QUEUED if attempt < MAX_ATTEMPTS else State.FAILED)
    assert "run it again" in ended.error["message"]
    journal.close()


def test_a_result_waits_until_the_journal_can_be_written(tmp_path):
    """Another process holds the journal's lock when the result comes."""
    journal, spool, told, changed = Journal(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool"), [], []
    journal._db.execute("PRAGMA busy_timeout = 20")
    scheduler = Scheduler(
        journal,
        spool,
        None,
        changed=changed.append,
        lossy=lambda job, event, _: told.append((job, event["stage"])),
        arrived=lambda *_: None,
        cancel_grace=1.0,
        idle_unload=1.0,
    )
    spool.put(pixels(seed=1))
    job = create(journal)
    running = Running(job, journal.start(job).attempts)
    message = {"type": "finished", "job": job, "attempt": 1, "state": "done", "result": RESULT}
    other = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    scheduler._running = running
    scheduler._hear(message, None)
    assert journal.get(job).state is State.STARTED
    assert told == [(job, told[0][1])]
    assert "Another program".lower() in told[0][1].lower()
    other.execute("COMMIT")
    other.close()
    scheduler._note_again(at_once=True)
    assert [one.state for one in changed] == [State.DONE]
    journal.close()


# The spool


def begun(spool, data=DATA):
    arriving = spool.upload(digest(data), len(data))
    arriving.append(memoryview(data)[arriving.offset :])
    return arriving


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_the_bytes_of_a_failed_sync_are_sent_again(tmp_path, monkeypatch, number):
    """The system tells of it once: the next sync would succeed, and the bytes may be lost."""
    spool = Spool(tmp_path)
    faults = [number]

    def fsync(handle, real=os.fsync):
        if faults:
            raise OSError(faults.pop(), "the disk")
        real(handle)

    monkeypatch.setattr(upload.os, "fsync", fsync)
    arriving = begun(spool)
    with pytest.raises((VelaturaError, OSError)):
        arriving.finish()
    assert (arriving.offset, spool.has(digest(DATA))) == (0, False)
    faults.append(number)
    arriving.append(memoryview(DATA)[:1000])
    arriving.sync()
    arriving.close()  # its client comes back later
    again = spool.upload(digest(DATA), len(DATA))
    again.close()
    assert again.offset == 0


def test_damaged_blobs_are_replaced_by_the_next_that_has_the_bytes(tmp_path):
    spool = Spool(tmp_path)
    for spoilt in (DATA[::-1], DATA[:-1], b""):
        spool.put(DATA)
        spool.path(digest(DATA)).write_bytes(spoilt)
        assert spool.put(DATA) == digest(DATA)
        assert spool.read(digest(DATA))[:] == DATA
        if len(spoilt) != len(DATA):
            spool.path(digest(DATA)).write_bytes(spoilt)
            begun(spool).finish()
            assert spool.read(digest(DATA))[:] == DATA
    with pytest.raises(VelaturaError) as raised:
        spool.upload(digest(DATA), 7)
    assert raised.value.code == "blob-corrupt", "the stored one is sound: the client is wrong"
    assert spool.has(digest(DATA))


def test_unfinished_uploads_are_within_the_budget(tmp_path):
    spool = Spool(tmp_path, budget=len(DATA) + 10)
    begun(spool).close()
    with pytest.raises(VelaturaError) as raised:
        spool.upload(digest(b"another"), 100)
    assert raised.value.code == "disk-full"
    with pytest.raises(VelaturaError) as raised:
        Spool(tmp_path / "other", budget=100).upload(digest(DATA), 60, promised=50)
    assert raised.value.code == "disk-full"
    begun(spool).finish()


def test_a_clock_that_jumps_takes_no_file_from_an_upload(tmp_path):
    spool = Spool(tmp_path)
    arriving = begun(spool)
    for hours in (-2, 2):
        os.utime(next((tmp_path / "partial").iterdir()), (time.time() + hours * 3600,) * 2)
        spool.drop_idle_uploads(3600, {digest(DATA)})
    arriving.finish()
    assert spool.read(digest(DATA))[:] == DATA


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path, monkeypatch):
    spool = Spool(tmp_path)

    def refuse(path, *_, **__):
        raise PermissionError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(VelaturaError) as raised:
        spool.put(DATA)
    monkeypatch.undo()
    assert raised.value.code == "unavailable"
    assert f"{tmp_path / 'partial'}; make it writable" in raised.value.message


# Results


def test_a_damaged_result_is_made_again_unless_its_client_has_it(tmp_path):
    journal, spool, changed = Journal(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool"), []
    keeper = Keeper(tmp_path, journal, spool, cancel=journal.ask_to_cancel, changed=changed.append)
    spool.put(pixels())
    blob = spool.put(pixels(seed=1))
    waits, inserted = done(journal), done(journal)
    journal.acknowledge(inserted)
    keeper.check_results()
    assert not changed
    spool.path(blob).write_bytes(b"short")
    keeper.check_results()
    assert [(job.id, job.state) for job in changed] == [(waits, State.QUEUED)]
    spool.put(pixels(seed=1))
    journal.start(waits)
    journal.finish(waits, 2, RESULT)
    spool.remove(digest(pixels()))
    keeper.make_again(blob)
    assert changed[-1].state is State.FAILED
    assert "run the edit again" in changed[-1].error["message"]
    assert journal.get(inserted).state is State.DONE
    journal.close()


def test_a_month_that_never_was_ages_a_result_by_a_day(tmp_path):
    wall, steady = [1e9], [0.0]
    path = tmp_path / "clock"

    def clock():
        return Clock(path, lambda: wall[0], lambda: steady[0])

    one = clock()
    assert one.now() == 1e9
    wall[0] += 31 * DAY  # set forward while it runs
    steady[0] += 60
    assert one.now() < 1e9 + 200
    assert clock().now() < 1e9 + DAY + 200, "and after a restart"
    wall[0] -= 31 * DAY
    assert one.now() <= wall[0] + 60, "set right again"
    waits = Reference("job", State.DONE, False, 1e9, "blob", True)
    assert plan([waits], [], clock().now(), Policy()).jobs == []
    steady[0] += 40 * DAY
    wall[0] += 40 * DAY
    assert plan([waits], [], one.now(), Policy()).jobs == ["job"], "a month that was"


def test_a_clock_set_back_does_not_keep_blobs_from_making_room():
    tie = Reference("job", State.DONE, True, 1e9, "blob", True)
    assert plan([tie], [Stored("blob", 10, -30 * DAY)], 1e9, Policy(budget=5)).blobs == ["blob"]
