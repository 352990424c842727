"""GIMP and the daemon's coming and going."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import threading
from xml.etree import ElementTree

import pytest

from tests.daemon_fixture import Daemon, wait_for
from tests.gimp.conftest import INSIDE, install, running
from tests.hosts.gimp import GimpSession
from tests.more_methods import environment
from velatura.methods.registry import registry
from velatura_protocol.client import Client
from velatura_protocol.paths import read_connection, write_connection

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]

OFFERED = INSIDE / "offered.py"


@pytest.fixture
def alone(gimp_host, tmp_path):
    """A GIMP whose daemon has never run; `alone.plugin` is the plug-in's folder."""
    with GimpSession(gimp_host, tmp_path / "gimp", binds=[tmp_path]) as session:
        session.plugin = install(session, tmp_path / "state")
        yield session


def test_without_a_daemon_gimp_starts_and_offers_the_last_known_methods(alone):
    found = alone.python(OFFERED, run="velatura-sdedit")
    labels = {f"velatura-{m.id}": f"{m.title}…" for m in registry().values() if m.result != "text"}
    assert found["names"] == sorted([*labels, "velatura-rerun", "velatura-window"])
    plain = [label.replace("_", "") for label in found["labels"]]
    assert labels.items() <= dict(zip(found["names"], plain, strict=True)).items()
    helped = ElementTree.parse(alone.plugin / "en/gimp-help.xml").getroot().findall("help-item")
    assert {*found["names"], "velatura-refresh"} <= {item.get("id") for item in helped}
    assert found["status"] == "execution-error"
    assert found["error"] == "Velatura's daemon is not running; start it with `velatura serve`."


def test_a_damaged_list_of_methods_does_not_keep_gimp_from_starting(alone):
    (alone.plugin / "methods.json").write_text('{"methods": [')
    assert alone.python(OFFERED)["names"] == ["velatura-rerun", "velatura-window"]


def test_a_daemon_that_refuses_is_said_in_a_sentence(alone, served):
    state_dir = alone.folder.parent / "state"
    connection = read_connection(served.state_dir)
    write_connection(state_dir, dataclasses.replace(connection, token="wrong"))
    for name in ("control.sock", "blob.sock"):
        (state_dir / name).symlink_to(served.state_dir / name)
    found = alone.python(OFFERED, run="velatura-sdedit")
    assert found["status"] == "execution-error"
    assert re.match(r"[A-Z].*\.$", found["error"])
    assert "Traceback" not in found["error"]


def test_a_daemon_that_cannot_be_started_is_said_in_a_sentence(alone):
    config = alone.plugin / "velatura.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "serve": ["/bin/false"]}))
    found = alone.python(OFFERED, run="velatura-sdedit")
    assert found["status"] == "execution-error"
    assert "velatura doctor" in found["error"]


def test_the_daemon_is_started_when_it_is_needed(alone, state_dir):
    """GIMP may live in a root of its own, so what the plug-in starts asks the test to start the daemon."""
    please = 'touch "$VELATURA_STATE_DIR/please"; sleep 60'
    (alone.plugin / "velatura.json").write_text(
        json.dumps({"serve": ["/bin/sh", "-c", please], "state_dir": str(state_dir)})
    )
    daemon = Daemon(state_dir)
    thread = threading.Thread(
        target=lambda: (wait_for((state_dir / "please").exists, 60, "nobody asks"), daemon.start())
    )
    thread.start()
    try:
        found = alone.python(OFFERED, run="velatura-sdedit", values={"steps": 4})
    finally:
        thread.join()
        daemon.stop()
    assert (found["status"], found["error"], found["layers"]) == ("success", "", 1)


def test_new_methods_are_offered_at_the_next_start(alone, served):
    config = alone.plugin / "velatura.json"
    config.write_text(json.dumps({"state_dir": str(served.state_dir)}))
    methods = alone.plugin / "methods.json"
    known = json.loads(methods.read_text())
    known["methods"] = [method for method in known["methods"] if method["id"] != "sdedit"]
    methods.write_text(json.dumps(known))
    first = alone.python(OFFERED, refresh=True)
    assert "velatura-sdedit" not in first["names"]
    assert (first["refresh"], first["new"]) == ("success", True)
    assert {*first["methods"], "velatura-rerun", "velatura-window"} == set(first["names"])
    assert "velatura-sdedit" in alone.python(OFFERED)["names"]


def test_a_plug_in_that_is_killed_cancels_its_job_and_no_daemon_dies(alone, state_dir):
    """What the Cancel of GIMP's progress bar does: the next step finds out, not a missing heartbeat."""
    client = Client(state_dir, name="test")
    with Daemon(state_dir, environment(), heartbeat=60) as daemon, contextlib.ExitStack() as stack:
        stack.callback(client.close)
        client.connect()
        install(alone, state_dir, offered_by=daemon)
        run = alone.start(OFFERED, run="velatura-until-told")
        wait_for(lambda: _jobs(client, "started"), 120, "the job does not start", every=0.2)
        (job,) = _jobs(client, "started")
        (plugin,) = running(alone)
        os.kill(plugin, signal.SIGKILL)
        wait_for(lambda: client.get(job["job"])["state"] == "cancelled", 40, "not cancelled", every=0.1)
        result = run.wait(check=False)
        assert result.values.get("status") != "success"
        assert client.request({"type": "ping"})["type"] == "pong"
        assert daemon.has_worker()


def _jobs(client: Client, state: str) -> list[dict]:
    return client.request({"type": "list", "states": [state]})["jobs"]
