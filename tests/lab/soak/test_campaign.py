"""A short campaign against a real daemon, and the seam by which its calls fail."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys

import pytest

from velatura_lab.soak import seam
from velatura_lab.soak.campaign import Campaign

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SEED = 417


@pytest.mark.timeout(900)
def test_a_short_campaign_loses_nothing(tmp_path):
    """`velatura soak` is the long one."""
    report = Campaign(tmp_path, SEED, light=True).run(rounds=10)
    assert report.problems == [], f"seed {SEED}"
    assert report.verdict.ends["done"] > 20
    assert report.kills > 5


PROGRAM = """
import os, sqlite3, sys
from pathlib import Path
from velatura_lab.soak.seam import Seam
Seam(Path(sys.argv[1]), "broker").install()
os.chdir(sys.argv[2])
db = sqlite3.connect("db", isolation_level=None)
db.execute("CREATE TABLE rows (n)")
db.execute("BEGIN IMMEDIATE")
db.execute("INSERT INTO rows VALUES (1)")
try:
    db.execute("COMMIT")
except sqlite3.OperationalError as error:
    print(error.sqlite_errorcode)
for name in "abc":
    handle = os.open(name, os.O_WRONLY | os.O_CREAT)
    try:
        os.write(handle, b"1234")
        os.fsync(handle)
        os.replace(name, name + ".done")
    except OSError as error:
        print(error.errno)
"""


def run(folder, **plan):
    """The program with the plan: its status, what it printed, its files with their sizes, its row."""
    path = folder / "plan"
    path.write_text(json.dumps({"id": 1, "role": "broker", "skip": 0, "error": 0, "times": 1} | plan))
    work = folder / "work"
    work.mkdir()
    command = [sys.executable, "-c", PROGRAM, str(path), str(work)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert not ended.stderr
    files = {file.name: file.stat().st_size for file in work.iterdir() if not file.name.startswith("db")}
    db = sqlite3.connect(work / "db")
    rows = db.execute("SELECT count(*) FROM rows").fetchone()[0]
    db.close()
    return ended.returncode, ended.stdout.split(), files, rows


@pytest.mark.parametrize(
    ("plan", "files", "rows"),
    [
        ({"op": "commit", "when": "before", "do": "kill"}, {}, 0),
        ({"op": "commit", "when": "after", "do": "kill"}, {}, 1),
        ({"op": "write", "when": "before", "do": "torn"}, {"a": 2}, 1),
        ({"op": "rename", "when": "before", "do": "kill", "skip": 1}, {"a.done": 4, "b": 4}, 1),
        ({"op": "rename", "when": "after", "do": "kill", "skip": 1}, {"a.done": 4, "b.done": 4}, 1),
    ],
)
@pytest.mark.timeout(180)
def test_the_seam_kills_at_the_place(tmp_path, plan, files, rows):
    status, _, there, row = run(tmp_path, **plan)
    assert status < 0
    assert (there, row) == (files, rows)
    assert (tmp_path / seam.FIRED).read_text() == "1\n"


@pytest.mark.timeout(180)
def test_the_seam_lets_calls_fail(tmp_path):
    plan = {"op": "fsync", "when": "before", "do": "error", "error": errno.EIO, "times": 2}
    status, said, files, _ = run(tmp_path, **plan)
    assert (status, said) == (0, [str(errno.EIO)] * 2)
    assert files == {"a": 4, "b": 4, "c.done": 4}
    assert not (tmp_path / "plan").exists(), "a plan that has fired is gone"


@pytest.mark.timeout(180)
def test_the_seam_lets_a_commit_fail(tmp_path):
    plan = {"op": "commit", "when": "before", "do": "error", "error": sqlite3.SQLITE_FULL}
    status, said, _, rows = run(tmp_path, **plan)
    assert (status, said, rows) == (0, [str(sqlite3.SQLITE_FULL)], 0)


def test_a_daemon_outside_of_a_campaign_has_no_seam():
    """The product imports nothing of the seam, and only a campaign's daemon has it."""
    before = os.fsync, os.write, sqlite3.connect
    seam.install()  # this process is none of a daemon's
    assert before == (os.fsync, os.write, sqlite3.connect)
    assert seam.role_of(["python", "-P", "-m", "velatura.daemon.serve"]) == "broker"
    assert seam.role_of(["python", "-P", "-m", "velatura.daemon.worker.main"]) == "worker"
