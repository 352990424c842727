"""The broker by its sockets: who may speak, what is refused, and what each answer is."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.raw import MiB, Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.patience import patience
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.errors import CODES, VelaturaError
from velatura_protocol.zmtp import Dealer

NO_WORKER = True
pytestmark = pytest.mark.timeout(60)


def submit(raw, wanted=None, job=None):
    return raw.ask({"type": "submit", "job": job or new_job(), "request": wanted or request()})


# Who may speak


@pytest.mark.parametrize("dealer", [Dealer, PyzmqDealer])
@pytest.mark.parametrize("socket", ["control_endpoint", "blob_endpoint"])
@pytest.mark.parametrize("token", ["", "wrong", "é" * 20])
def test_a_wrong_token_is_refused(broker, dealer, socket, token):
    caller = dealer()
    with pytest.raises(VelaturaError) as raised:
        caller.connect(getattr(broker.connection, socket)(), token, patience(5.0))
    assert raised.value.code == "wrong-token"
    caller.close()


def test_without_the_mechanism_nobody_is_heard(broker):
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(broker.connection.control_endpoint())
        dealer.send(b'{"type":"hello","seq":1,"protocol":"1.0"}')
        assert not dealer.poll(500)


def test_the_state_is_the_persons_own(broker):
    for path in broker.state_dir.rglob("*"):
        if path.name not in ("models.json", "settings.toml"):  # these the test itself wrote
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_second_daemon_says_that_there_is_one(broker):
    ran = subprocess.run(
        [sys.executable, "-c", "from velatura.daemon.serve import main; raise SystemExit(main())"],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(sys.path), "VELATURA_STATE_DIR": str(broker.state_dir)},
        capture_output=True,
        text=True,
        timeout=patience(30),
        check=False,
    )
    assert ran.returncode == 1
    assert "already runs" in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_broker_has_no_torch(broker, raw):
    raw.ask({"type": "methods"})
    submit(raw)
    with open(f"/proc/{broker.pid}/maps") as maps:
        libraries = maps.read()
    assert "libzmq" in libraries
    assert "torch" not in libraries


# Sessions


def test_hello_is_answered_with_a_session(raw):
    welcome = raw.ask({"type": "hello", "protocol": "1.7", "client": "test", "session": raw.session})
    assert welcome["session"] == raw.session
    assert welcome["limits"]["chunk"] == MiB


def test_an_unknown_session_is_replaced(raw):
    welcome = raw.ask({"type": "hello", "protocol": "1.0", "client": "test", "session": "0" * 16})
    assert welcome["session"] not in ("", "0" * 16, raw.session)


@pytest.mark.parametrize("version", ["0.9", "2.0", "", None, 1.0])
def test_another_major_version_is_refused_in_a_sentence(raw, version):
    error = raw.ask({"type": "hello", "protocol": version, "client": "test", "session": ""})
    assert error["code"] == "protocol-version"
    assert error["message"].endswith(".")


def test_nothing_is_done_without_a_session(broker):
    with Raw(broker.connection, hello=False) as raw:
        for kind in ("ping", "methods", "list", "shutdown"):
            assert raw.ask({"type": kind})["code"] == "no-session"
        assert raw.ask_blob({"type": "put", "digest": "", "size": 1})[0]["code"] == "no-session"


def test_a_session_moves_to_a_new_connection(broker):
    with Raw(broker.connection) as first, Raw(broker.connection, hello=False) as second:
        hello = {"type": "hello", "protocol": "1.0", "client": "test", "session": first.session}
        assert second.ask(hello)["session"] == first.session
        assert first.ask({"type": "ping"})["code"] == "no-session"
        assert second.ask({"type": "ping"})["type"] == "pong"


def test_ping_says_how_things_are(raw):
    pong = raw.ask({"type": "ping"})
    assert pong["worker"] in ("starting", "idle", "busy", "stopped")
    assert raw.ask_blob({"type": "ping"})[0]["type"] == "pong"


# Messages


@pytest.mark.parametrize("kind", ["", "hullo", "x" * 10_000, "Submit"])
def test_unknown_messages_are_answered(raw, kind):
    assert raw.ask({"type": kind})["code"] == "unknown-message"
    assert raw.ask_blob({"type": kind})[0]["code"] == "unknown-message"


def test_unknown_fields_are_ignored(raw):
    assert raw.ask({"type": "ping", "later": {"version": [1]}})["type"] == "pong"
    assert submit(raw, request(later="version"))["type"] == "job"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"seq":1}',
        b'{"type":"ping","seq":NaN}',
        b'{"type":1,"seq":1}',
        b'{"type":"ping","seq":-1}',
        b'{"type":"ping"}',
        b"[" * 100_000,
        b'{"type":"' + b"x" * 300_000 + b'"}',
    ],
    ids=lambda frame: repr(frame[:20]),
)
def test_frames_that_are_no_message_are_answered_and_the_connection_stays(raw, frame):
    for socket in (raw.control, raw.blob):
        socket.send(frame)
        assert raw.receive(socket)[0]["code"] == "bad-message"
    assert raw.ask({"type": "ping"})["type"] == "pong"


def test_a_frame_over_the_limit_ends_that_connection_only(broker, raw):
    with Raw(broker.connection) as other:
        other.control.setsockopt(zmq.RECONNECT_IVL, -1)
        other.control.send(b"x" * (2 * MiB))
        assert not other.control.poll(300)
        assert raw.ask({"type": "ping"})["type"] == "pong"


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.booleans())
def test_garbage_is_answered(broker, frames, on_blob):
    with Raw(broker.connection) as raw:
        socket = raw.blob if on_blob else raw.control
        socket.send_multipart(frames)
        assert raw.receive(socket)[0]["code"] == "bad-message"
        assert raw.ask({"type": "ping"})["type"] == "pong"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
control_kinds = st.sampled_from(["hello", "methods", "submit", "get", "list", "watch", "ack", "cancel"])
fields = st.sampled_from(
    [
        "job",
        "jobs",
        "request",
        "states",
        "protocol",
        "session",
        "client",
        "digest",
        "size",
        "offset",
        "length",
    ]
)


@settings(max_examples=100)
@given(control_kinds, st.dictionaries(fields, values, max_size=4))
def test_any_control_message_gets_one_answer(broker, kind, body):
    answered(broker, {**body, "type": kind}, on_blob=False)


@settings(max_examples=60)
@given(st.sampled_from(["put", "chunk", "fetch"]), st.dictionaries(fields, values, max_size=4))
def test_any_blob_message_gets_one_answer(broker, kind, body):
    answered(broker, {**body, "type": kind}, on_blob=True)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(sorted(request())), values), min_size=1, max_size=3))
def test_any_request_is_judged(broker, changes):
    answered(broker, {"type": "submit", "job": new_job(), "request": request(**dict(changes))}, on_blob=False)


def answered(broker, message, *, on_blob):
    with Raw(broker.connection) as raw:
        body = {"session": raw.session, **message} if on_blob else message
        socket = raw.blob if on_blob else raw.control
        socket.send_multipart([json.dumps({**body, "seq": 77}).encode()])
        answer, _ = raw.receive(socket)
        if answer["type"] == "error":
            assert answer["code"] in CODES - {"internal"}, answer
            assert answer["message"].endswith((".", "!"))
        if answer.get("code") != "bad-message":
            assert answer["re"] == 77
        assert raw.ask({"type": "ping"})["type"] in ("pong", "error")


# Submissions


def test_methods_are_described(raw):
    answer = raw.ask({"type": "methods"})
    assert {"sdedit", "blended-latent-diffusion"} <= {method["id"] for method in answer["methods"]}
    assert answer["models"][0]["id"] == "tiny"


def test_a_submission_says_what_is_missing(raw):
    wanted = request(pixels(seed=5))
    answer = submit(raw, wanted)
    assert (answer["state"], answer["revision"]) == ("uploading", 1)
    assert answer["missing"] == [wanted["inputs"]["source"]["digest"]]
    assert answer["title"] == "a hat · Repaint from its colours"


def test_a_submission_may_be_repeated_but_not_changed(raw):
    job = new_job()
    first = submit(raw, job=job)
    again = submit(raw, job=job)
    assert {**again, "re": 0} == {**first, "re": 0}
    assert submit(raw, request(prompt="another"), job)["code"] == "job-conflict"
    assert raw.ask({"type": "get", "job": job})["title"] == "a hat · Repaint from its colours"


def source(**changes):
    return {"inputs": {"source": {**raster(pixels()), **changes}, "mask": None}}


def mask(**changes):
    flat = raster(b"\xff" * 1024, channels="A")
    return {"inputs": {"source": raster(pixels()), "mask": {**flat, **changes}}}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"velatura": 2}, "bad-request"),
        ({"method": "no-such"}, "unknown-method"),
        ({"method_version": 99}, "unknown-method"),
        ({"model": {"id": "no-such", "digest": ""}}, "unknown-model"),
        ({"prompt": "  "}, "empty-prompt"),
        ({"prompt": "x" * 2001}, "prompt-too-long"),
        ({"seed": -2}, "bad-request"),
        ({"variations": 0}, "bad-request"),
        ({"variations": 9}, "bad-request"),
        ({"parameters": {"steps": 0}}, "bad-request"),
        ({"parameters": {"steps": "many"}}, "bad-request"),
        ({"parameters": {"unheard-of": 1}}, "bad-request"),
        ({"canvas": [0, 32]}, "bad-request"),
        ({"inputs": {"source": None}}, "bad-request"),
        (source(width=20_000, rect=[0, 0, 20_000, 32]), "too-large"),
        (source(rect=[0, 0, 16, 16]), "bad-layer"),
        (source(dtype="f64"), "bad-layer"),
        (source(channels="CMYK"), "unsupported-colour"),
        (mask(channels="RGB"), "bad-layer"),
        (mask(rect=[500, 500, 32, 32]), "mask-outside"),
    ],
    ids=str,
)
def test_what_cannot_run_is_refused_before_any_work(raw, changes, code):
    job = new_job()
    error = submit(raw, request(**changes), job)
    assert (error["type"], error.get("code")) == ("error", code)
    assert error["message"].endswith(".")
    assert raw.ask({"type": "get", "job": job})["code"] == "unknown-job"


def test_a_number_that_is_none_is_no_message(raw):
    text = json.dumps({"type": "submit", "seq": 9, "job": new_job(), "request": request()})
    raw.control.send(text.replace('"steps": 4', '"strength": NaN').encode())
    assert raw.receive(raw.control)[0]["code"] == "bad-message"


@pytest.mark.parametrize("job", [None, 7, "", "x", "A" * 36, "../../../etc/passwd"])
def test_jobs_have_proper_names(raw, job):
    for kind in ("submit", "get", "ack", "cancel"):
        assert raw.ask({"type": kind, "job": job, "request": request()})["code"] == "bad-request"


# Jobs


def test_what_waits_for_its_layers_is_cancelled_at_once(raw):
    job = submit(raw, request(pixels(seed=6)))["job"]
    answer = raw.ask({"type": "cancel", "job": job})
    assert (answer["state"], answer["revision"]) == ("cancelled", 2)
    again = raw.ask({"type": "cancel", "job": job})
    assert {**again, "re": 0} == {**answer, "re": 0}
    assert raw.wait_for(job, "cancelled")["revision"] == 2


def test_a_job_that_has_not_ended_cannot_be_acknowledged(raw):
    job = submit(raw, request(pixels(seed=6)))["job"]
    assert raw.ask({"type": "ack", "job": job})["code"] == "bad-request"


def test_unknown_jobs_are_said_to_be_unknown(raw):
    for kind in ("get", "ack", "cancel"):
        assert raw.ask({"type": kind, "job": new_job()})["code"] == "unknown-job"


def test_others_can_watch(broker, raw):
    job = submit(raw, request(pixels(seed=7)))["job"]
    with Raw(broker.connection) as other:
        (state,) = other.ask({"type": "watch", "jobs": [job, new_job(), 5]})["jobs"]
        assert (state["job"], state["state"]) == (job, "uploading")
        raw.ask({"type": "cancel", "job": job})
        assert other.wait_for(job, "cancelled")["revision"] == 2


def test_a_list_is_as_long_as_a_message_allows(raw):
    for i in range(40):
        job = submit(raw, request(pixels(seed=100 + i), prompt="€" * 90))["job"]
        raw.ask({"type": "cancel", "job": job})
    listed = raw.ask({"type": "list", "states": ["cancelled"]})["jobs"]
    assert listed[-1]["job"] == job
    assert all(state["state"] == "cancelled" for state in listed)
    none = raw.ask({"type": "list", "states": ["nonsense"]})
    assert (none["jobs"], none["more"]) == ([], 0)
    assert raw.ask({"type": "list", "states": "cancelled"})["code"] == "bad-request"
