"""The boxes of methods and models in the real Krita, with a model of another kind beside the default one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.daemon_fixture import Daemon
from tests.more_methods import environment
from tests.more_methods.velatura_examples import eigenpictures
from velatura.methods.sections import SECTIONS
from velatura_protocol.client import Client

pytestmark = [pytest.mark.krita, pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).with_name("in_krita_choosers.py")
MANY = 60  # methods, more than a screen is high


@pytest.fixture
def daemon(state_dir, tiny_folder):
    eigen = eigenpictures.write(state_dir.parent / "eigen")
    models = [("tiny", tiny_folder), ("eigen", eigen)]
    state_dir.mkdir(exist_ok=True)
    listed = [{"id": id, "title": id.title(), "path": str(folder)} for id, folder in models]
    (state_dir / "models.json").write_text(json.dumps(listed), "utf-8")
    with Daemon(state_dir, environment(), prestart=False) as running:
        yield running


def offered(daemon) -> dict:
    client = Client(daemon.state_dir, name="test")
    try:
        client.connect()
        return client.methods()
    finally:
        client.close()


def test_sections_keys_and_a_model_that_the_method_needs(krita_session, daemon):
    answer = offered(daemon)
    (sdedit,) = [method for method in answer["methods"] if method["id"] == "sdedit"]
    more = [sdedit | {"id": f"more-{i}", "title": f"More ways to edit, number {i}"} for i in range(MANY)]
    many = answer | {"methods": [*answer["methods"], *more]}
    found = krita_session().window(SCRIPT, timeout=600, answer=many, size=[1600, 1000])
    headings = [title for title, method in found["rows"] if method is None]
    assert headings[:2] == ["Change by words", "Change by degrees"] and headings[-1] == "Select"
    assert headings == [title for title in SECTIONS.values() if title in headings]
    assert found["first"] == "flow-align"
    methods = [method for _, method in found["rows"] if method is not None]
    assert found["keys"] == [*methods[1:8], methods[0]]
    assert found["rows"].index(["Change by degrees", None]) < 8  # the keys have gone over a heading
    assert found["lacked"] == ["eigen", "“Tiny” cannot do this, so “Eigen” does it.", True]
    assert found["own"] == ["tiny", False]
    assert found["bounds"] == [[0, 0, 80, 64]], found["said"]
    left, top, right, bottom = found["popup"]
    width, height = found["screen"]
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert found["scrolls"]
