"""The judgement finds each kind of fault, and a campaign without one is clean."""

from __future__ import annotations

import pytest

from velatura_lab.soak.judge import judge
from velatura_lab.soak.ledger import Ledger, is_to_be_cancelled

DONE, CANCELLED = 0, 4


def ledger(path, *lines):
    book = Ledger(path)
    for number in (DONE, CANCELLED):
        book.note("meant", f"job {number}", number=number)
        book.note("acknowledged", f"job {number}")
        end = "cancelled" if is_to_be_cancelled(number) else "done"
        book.note("ended", f"job {number}", state=end, result="" if end == "cancelled" else "right")
    book.note("fetched", "job 0", result="right")
    for kind, more in lines:
        book.note(kind, "job 0", **more)
    book.close()
    again = Ledger(path)  # as a client does after a kill
    again.close()
    return again.entries


KNOWN = {"job 0": ("done", "right"), "job 4": ("cancelled", "")}
UNDISTURBED = {DONE: "right"}


def test_a_clean_campaign_is_clean(tmp_path):
    verdict = judge(ledger(tmp_path / "ledger"), KNOWN, UNDISTURBED, 0)
    assert verdict.problems == []
    assert verdict.ends == {"done": 1, "cancelled": 1}


@pytest.mark.parametrize(
    ("kind", "lines", "known", "undisturbed"),
    [
        ("lost", [("unknown", {"code": "unknown-job"})], KNOWN, UNDISTURBED),
        ("lost", [], {"job 4": ("cancelled", "")}, UNDISTURBED),
        ("doubled", [("ended", {"state": "failed internal", "result": ""})], KNOWN, UNDISTURBED),
        ("doubled", [("fetched", {"result": "other"})], KNOWN, UNDISTURBED),
        ("doubled", [], KNOWN | {"job 0": ("done", "other")}, UNDISTURBED),
        ("doubled", [], KNOWN | {"job 9": ("done", "right")}, UNDISTURBED),
        ("wrong", [], KNOWN, {DONE: "other"}),
        ("wrong", [], KNOWN, {DONE: ""}),
    ],
)
def test_each_kind_of_fault_is_found(tmp_path, kind, lines, known, undisturbed):
    verdict = judge(ledger(tmp_path / "ledger", *lines), known, undisturbed, 0)
    assert [problem.partition(":")[0] for problem in verdict.problems] == [kind]


def test_more_failures_than_the_workers_faults_are_wrong(tmp_path):
    book = Ledger(tmp_path / "ledger")
    for number in (0, 1):
        book.note("meant", f"job {number}", number=number)
        book.note("acknowledged", f"job {number}")
        book.note("ended", f"job {number}", state="failed worker-lost", result="")
    book.close()
    known = {f"job {number}": ("failed worker-lost", "") for number in (0, 1)}
    assert judge(book.entries, known, {}, 2).problems == []
    assert len(judge(book.entries, known, {}, 1).wrong) == 2


def test_a_line_torn_by_a_kill_is_no_line(tmp_path):
    path = tmp_path / "ledger"
    ledger(path)
    path.write_bytes(path.read_bytes() + b'{"is": "unknown", "job": "job 0", "co')
    assert judge(ledger(path), KNOWN, UNDISTURBED, 0).problems == []
