"""The habits of CONTRIBUTING.md that a program can check: hooks, change log, gate."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
import yaml
from installer import run

from tests.patience import patience
from velatura import __version__

ROOT = Path(__file__).resolve().parents[1]
KINDS = {
    kind["directory"]
    for kind in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]["type"]
}
FRAGMENTS = sorted(path for path in (ROOT / "docs/changes").iterdir() if path.name != "template.md")


def test_a_commit_is_checked_as_the_gate_checks():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    hooks = [hook["entry"].removeprefix(".velatura/env/bin/") for hook in repository["hooks"]]
    assert hooks == [" ".join(words) for words in run.CHECKS]


OURS = [
    path
    for folder in ("backend", "protocol", "plugin_krita", "plugin_gimp", "installer", "tests", "docs")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".md")
]


def test_no_test_mocks_our_own_code():
    tests = [path for path in OURS if path.is_relative_to(ROOT / "tests")]
    named = re.compile(
        r"^ *(from unittest(\.mock)? import .*\b(mock|patch|Mock)|import unittest\.mock)", re.M
    )
    assert named.search("from unittest import mock") and len(tests) > 100
    assert [path for path in tests if named.search(path.read_text("utf-8"))] == []


def test_nothing_speaks_of_the_present_version_as_past():
    named = re.compile(rf"\b[Vv]ersion {re.escape(__version__)}")
    assert len(OURS) > 300
    assert [path for path in OURS if named.search(path.read_text("utf-8"))] == []


def draft() -> str:
    """Return the section of CHANGELOG.md that the next release would add."""
    words = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=patience(60))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_fragment_comes_into_the_change_log():
    log = re.sub(r"\s+", " ", draft())
    for path in FRAGMENTS:
        assert re.sub(r"\s+", " ", path.read_text("utf-8")).strip() in log, path


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_plain_sentences_of_a_known_kind(path):
    assert re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(KINDS)})\.md", path.name)
    text = path.read_text("utf-8").strip()
    assert "\n\n" not in text and text.endswith("."), "one paragraph of sentences"
    assert not text.startswith(("-", "*", "#")), "the change log makes the list"


def test_the_change_log_has_the_place_for_a_release():
    marker = "<!-- towncrier release notes start -->"
    assert (ROOT / "CHANGELOG.md").read_text("utf-8").count(marker) == 1
