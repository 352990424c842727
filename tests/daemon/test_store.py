"""The journal: legal transitions only, nothing lost by a crash, a result once."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tests.daemon.samples import new_job, pixels, raster, request
from velatura.jobs.states import ENDED, LEGAL, IllegalTransition, State, input_digests
from velatura.jobs.store import Journal
from velatura_protocol.errors import MAX_DETAIL, VelaturaError
from velatura_protocol.messages import request_digest

#: A file system in memory where there is one: thousands of commits ask nothing of the disk there.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

RESULT = {"seconds": 1.0, "layers": [{"raster": raster(pixels(seed=1))}]}
ERROR = VelaturaError("internal", "It failed.").to_wire()


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "jobs.sqlite")
    yield journal
    journal.close()


def create(journal, job=None, state=State.QUEUED, **changes):
    wanted = request(**changes)
    return journal.create(job or new_job(), request_digest(wanted), wanted, "A title", state=state)[0]


def test_a_job_runs_through(journal):
    job = create(journal, state=State.UPLOADING).id
    assert journal.uploaded(job).state is State.QUEUED
    started = journal.start(job)
    assert (started.state, started.attempts, started.revision) == (State.STARTED, 1, 3)
    done = journal.finish(job, 1, RESULT)
    assert (done.state, done.result, done.revision) == (State.DONE, RESULT, 4)
    assert journal.acknowledge(job).acknowledged


def test_the_same_request_again_is_the_same_job(journal):
    first = create(journal)
    again, created = journal.create(first.id, first.request_digest, first.request, "T", state=State.QUEUED)
    assert (again, created) == (first, False)


def test_another_request_with_the_same_id_is_a_conflict(journal):
    job = create(journal).id
    with pytest.raises(VelaturaError) as raised:
        create(journal, job, prompt="another")
    assert raised.value.code == "job-conflict"
    assert journal.get(job).request["prompt"] == "a hat"


def test_only_the_current_attempt_may_finish_and_only_once(journal):
    job = create(journal).id
    journal.start(job)
    journal.lost(job)
    with pytest.raises(IllegalTransition):
        journal.finish(job, 1, RESULT)
    journal.start(job)
    with pytest.raises(IllegalTransition):
        journal.finish(job, 1, RESULT)
    journal.finish(job, 2, RESULT)
    with pytest.raises(IllegalTransition):
        journal.finish(job, 2, RESULT)


def test_the_second_loss_fails_the_job(journal):
    job = create(journal).id
    journal.start(job)
    assert journal.lost(job).state is State.QUEUED
    journal.start(job)
    failed = journal.lost(job)
    assert (failed.state, failed.error["code"], failed.attempts) == (State.FAILED, "worker-lost", 2)


def test_a_stop_in_good_order_is_no_loss(journal):
    job = create(journal).id
    for attempt in (1, 2, 3):
        assert journal.start(job).attempts == attempt
        assert journal.put_back(job).state is State.QUEUED


@pytest.mark.parametrize("end", ["finish", "fail", "lost", "put_back"])
def test_a_cancel_wins_over_whatever_ends_the_run(journal, end):
    job = create(journal).id
    journal.start(job)
    assert journal.ask_to_cancel(job).state is State.STARTED
    ends = {"finish": (1, RESULT), "fail": (ERROR, 1)}
    assert getattr(journal, end)(job, *ends.get(end, ())).state is State.CANCELLED


def test_unknown_jobs_are_said_to_be_unknown(journal):
    with pytest.raises(VelaturaError) as raised:
        journal.get(new_job())
    assert raised.value.code == "unknown-job"
    assert journal.some([new_job()]) == []


def test_lists_and_counts(journal):
    jobs = [create(journal).id for _ in range(4)]
    journal.start(jobs[0])
    assert [waiting.id for waiting in journal.queue()] == jobs[1:]
    assert [job.id for job in journal.in_states({State.QUEUED}, limit=2)] == jobs[2:]
    assert journal.count() == 4
    assert journal.count({State.STARTED}) == 1
    assert journal.count(owner="somebody else") == 0


def test_drafts_are_known_as_such_and_may_be_left_out(journal):
    edit, draft = create(journal).id, create(journal, draft=True).id
    assert [job.id for job in journal.in_states({State.QUEUED})] == [edit, draft]
    assert [job.id for job in journal.in_states({State.QUEUED}, limit=1, drafts=False)] == [edit]
    assert (journal.count({State.QUEUED}), journal.count({State.QUEUED}, drafts=False)) == (2, 1)
    assert {r.job: r.is_draft for r in journal.references()} == {edit: False, draft: True}
    journal.start(draft)
    assert journal.finish(draft, 1, {"seconds": 0.1, "layers": []}).state is State.DONE


def test_forgetting_spares_what_has_not_ended(journal):
    ended, waiting = create(journal).id, create(journal).id
    journal.ask_to_cancel(ended)
    journal.forget([ended, waiting])
    assert [job.id for job in journal.in_states(set(State))] == [waiting]
    assert {reference.job for reference in journal.references()} == {waiting}


def test_a_full_disk_changes_nothing(journal):
    job = create(journal).id
    journal._db.execute("PRAGMA max_page_count = 1")  # raised to what is in use: no page more
    with pytest.raises(VelaturaError) as raised:
        for _ in range(1000):
            create(journal, prompt="x" * 1900)
    assert raised.value.code == "disk-full"
    known = journal.count()
    journal._db.execute("PRAGMA max_page_count = 1000000")
    assert journal.get(job).state is State.QUEUED
    create(journal)
    assert journal.count() == known + 1


def test_a_damaged_journal_is_set_aside(tmp_path):
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    journal = Journal(path)
    create(journal)
    journal.close()
    assert len(list(tmp_path.glob("jobs.sqlite.damaged-*"))) == 1


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "spoil",
    [
        "request = '{'",
        "request = '[]'",
        f"request = '{DEEP}'",
        "request = x'ff00'",
        'request = \'{"inputs": {"source": {}}}\'',
        "state = 'lost'",
        "state = 'done', result = NULL",
        "state = 'done', result = '{\"layers\": 3}'",
        "state = 'failed', error = '{'",
        "created = 9e999",
        "created = 'soon'",
        "id = x'00'",
    ],
    ids=lambda value: value[:30],
)
def test_a_row_that_makes_no_sense_is_set_aside_and_the_others_live(tmp_path, spoil):
    path = tmp_path / "jobs.sqlite"
    journal = Journal(path)
    before, spoilt, after = (create(journal).id for _ in range(3))
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE jobs SET {spoil} WHERE id = ?", (spoilt,))
    db.close()

    for _ in range(2):  # once for all
        journal = Journal(path)
        assert [job.id for job in journal.recover()] == []
        assert [waiting.id for waiting in journal.queue()] == [before, after]
        assert len(journal.in_states(set(State), drafts=False)) == 3
        assert {reference.job for reference in journal.references()} >= {before, after}
        if not spoil.startswith("id"):
            failed = journal.get(spoilt).to_wire([])
            assert (failed["state"], failed["error"]["code"]) == ("failed", "internal")
            assert "run the edit again" in failed["error"]["message"]
        journal.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM set_aside").fetchone() == (1,)
    db.close()


def test_an_error_of_any_length_is_told_in_few_words(journal):
    job = create(journal).id
    failed = journal.fail(job, {**ERROR, "detail": "x" * 1_000_000}).to_wire([])
    assert len(failed["error"]["detail"]) == MAX_DETAIL


def test_a_newer_journal_is_left_alone(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(VelaturaError) as raised:
        Journal(path)
    assert raised.value.code == "unavailable"


class JobMachine(RuleBasedStateMachine):
    """Anything in any order, crashes included, against a model of what must be true."""

    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.journal = Journal(self.folder / "jobs.sqlite")
        self.seen = {}  # the last that was committed, by id
        self.results = {}

    def teardown(self):
        self.journal.close()
        shutil.rmtree(self.folder)

    def note(self, job):
        before = self.seen.get(job.id)
        if before is not None and before.state is not job.state:
            assert job.state in LEGAL[before.state]
            assert job.revision == before.revision + 1
        self.seen[job.id] = job

    @rule(target=jobs, state=st.sampled_from([State.UPLOADING, State.QUEUED]), lease=st.booleans())
    def submit(self, state, lease):
        wanted = request()
        job, created = self.journal.create(
            new_job(), request_digest(wanted), wanted, "T", state=state, lease=lease
        )
        assert created
        self.note(job)
        return job.id

    @rule(job=jobs)
    def submit_again(self, job):
        known = self.journal.get(job)
        assert self.journal.create(job, known.request_digest, {}, "", state=State.QUEUED) == (known, False)

    @rule(job=jobs, change=st.sampled_from(["uploaded", "start", "cancelled", "put_back", "lost"]))
    def move(self, job, change):
        try:
            moved = getattr(self.journal, change)(job)
        except IllegalTransition:
            assert self.journal.get(job) == self.seen[job]
        else:
            assert not self.seen[job].ended
            self.note(moved)

    @rule(job=jobs, attempt=st.integers(0, 3))
    def finish(self, job, attempt):
        try:
            moved = self.journal.finish(job, attempt, RESULT)
        except IllegalTransition:
            assert self.journal.get(job) == self.seen[job]
        else:
            assert attempt == self.seen[job].attempts
            self.note(moved)
            if moved.state is State.DONE:
                self.results[job] = self.results.get(job, 0) + 1

    @rule(job=jobs, attempt=st.one_of(st.none(), st.integers(0, 3)))
    def fail(self, job, attempt):
        try:
            moved = self.journal.fail(job, ERROR, attempt)
        except IllegalTransition:
            assert self.journal.get(job) == self.seen[job]
        else:
            self.note(moved)

    @rule(job=jobs)
    def cancel(self, job):
        ended = self.seen[job].ended
        moved = self.journal.ask_to_cancel(job)
        assert not ended or moved == self.seen[job]
        assert moved.ended or moved.cancelling
        self.note(moved)

    @rule(job=jobs)
    def acknowledge(self, job):
        try:
            self.note(self.journal.acknowledge(job))
        except VelaturaError as error:
            assert error.code == "bad-request"
            assert not self.seen[job].ended

    @rule()
    def crash(self):
        """The process dies: a copy of the files, taken while they are open, is all there is afterwards."""
        copy = Path(tempfile.mkdtemp(dir=self.folder.parent))
        for file in self.folder.glob("jobs.sqlite*"):
            shutil.copy(file, copy)
        self.journal.close()
        shutil.rmtree(self.folder)
        self.folder = copy
        self.journal = Journal(copy / "jobs.sqlite")
        for job in self.journal.recover():
            assert self.seen[job.id].state is State.STARTED
            self.note(job)

    @invariant()
    def nothing_is_lost(self):
        stored = {job.id: job for job in self.journal.in_states(set(State))}
        assert stored == self.seen

    @invariant()
    def results_come_once(self):
        assert all(count == 1 for count in self.results.values())
        for job in self.seen.values():
            assert (job.result is not None) == (job.state is State.DONE) == (job.id in self.results)
            assert (job.error is not None) == (job.state is State.FAILED)
            assert job.losses < 2 or job.state in ENDED

    @invariant()
    def blobs_are_tied(self):
        tied = {(r.job, r.digest) for r in self.journal.references() if not r.is_result}
        assert tied == {(job.id, d) for job in self.seen.values() for d in input_digests(job.request)}


JobMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestJobMachine = pytest.mark.timeout(300)(JobMachine.TestCase)
