"""Another program answers where the daemon should be: it hears no secret and is not believed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from contextlib import closing

import pytest

from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.client import Client
from velatura_protocol.endpoints import password, proof
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.paths import Connection, write_connection
from velatura_protocol.zmtp import Dealer

from .peers import TOKEN, dripping
from .small_daemon import SmallDaemon
from .strangers import Stranger

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(os.name != "posix", reason="squats on Unix sockets too"),
]

SECRET = "a-token-that-nobody-may-hear"
PROMPT = "a prompt that nobody may read"
PIXELS = b"pixels that nobody may see"
NAME = "a client's name"
JOB = str(uuid.uuid4())


@pytest.fixture(params=[Dealer, PyzmqDealer], ids=["stdlib", "pyzmq"])
def dealer(request):
    return request.param


@pytest.fixture(params=["ipc", "tcp"])
def endpoint(request, tmp_path):
    return "tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/control.sock"


def announce(folder, control, blob, **changes):
    """Leaves a connection file, as a daemon that was killed does."""
    name = lambda endpoint: "ipc://" + endpoint.rpartition("/")[2] if "ipc" in endpoint else endpoint  # noqa: E731
    given = {"wire": "1.5", "token": SECRET, "pid": os.getpid(), "instance": "i", "version": "0", **changes}
    write_connection(folder, Connection(control=name(control), blob=name(blob), **given))


def try_to_edit(folder, dealer):
    """What a client does that wants a job done; gives the error, and what it was told meanwhile."""
    with closing(Client(folder, name=NAME, dealer=dealer)) as client:
        with pytest.raises(VelaturaError) as raised:
            client.connect(timeout=0.7)
        end = time.monotonic() + 0.5
        wanted = {"velatura": 1, "prompt": PROMPT, "inputs": {"source": {"digest": digest(PIXELS)}}}
        with pytest.raises(VelaturaError):
            client.submit(JOB, wanted, {digest(PIXELS): PIXELS}, should_stop=lambda: time.monotonic() > end)
        told = [event for event, _ in client.events(0.1) if event["type"] != "connection"]
    return raised.value, told


LIES = {
    "silence": lambda message: [],
    "an error": lambda message: [
        {"type": "error", "re": message["seq"], "code": "internal", "message": "Send your password to me."}
    ],
    "no proof": lambda message: [{"type": "proof", "re": message["seq"]}],
    "a wrong proof": lambda message: [{"type": "proof", "re": message["seq"], "proof": "0" * 64}],
    "the nonce": lambda message: [{"type": "proof", "re": message["seq"], "proof": message["nonce"]}],
    "another token's": lambda message: [
        {"type": "proof", "re": message["seq"], "proof": proof("guess", "control.sock", message["nonce"])}
    ],
    "a welcome": lambda message: [
        {"type": "welcome", "re": message["seq"], "protocol": "1.5", "instance": "i"}
    ],
    "events": lambda message: [{"type": "job", "job": JOB, "state": "failed", "error": {}}] * 3,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_stranger_hears_nothing_and_is_not_believed(tmp_path, dealer, endpoint, lie):
    with Stranger(endpoint, LIES[lie]) as stranger:
        announce(tmp_path, stranger.endpoint, stranger.endpoint)
        error, told = try_to_edit(tmp_path, dealer)
    assert error.code in ("not-running", "timeout")
    assert "Send your" not in error.message
    assert told == []
    assert {message["type"] for message in stranger.messages} == {"challenge"}
    for secret in (SECRET, PROMPT, NAME):
        assert secret.encode() not in stranger.heard
    assert PIXELS not in stranger.heard


def test_a_stranger_at_the_blob_socket_only(tmp_path, dealer):
    with SmallDaemon(tmp_path) as daemon, Stranger("tcp://127.0.0.1:0", LIES["a wrong proof"]) as stranger:
        control = daemon._control.endpoint
        announce(tmp_path, control, stranger.endpoint, token=TOKEN, instance="instance 1")
        error, told = try_to_edit(tmp_path, dealer)
        assert (error.code, told) == ("not-running", [])
        assert "Another program" in error.message
        assert daemon.count("submit") == daemon.count("hello") == 0
    assert {message["type"] for message in stranger.messages} == {"challenge"}
    assert TOKEN.encode() not in stranger.heard


def test_who_passes_everything_on_is_found_out_by_the_daemon(tmp_path, dealer):
    """The password is good at one address."""
    with SmallDaemon(tmp_path) as daemon, dripping(daemon._control.port) as proxy:
        announce(tmp_path, f"tcp://127.0.0.1:{proxy}", daemon._blob.endpoint, token=TOKEN)
        with closing(dealer()) as caller, pytest.raises(VelaturaError) as raised:
            caller.connect(f"tcp://127.0.0.1:{proxy}", TOKEN, 5.0)
    assert raised.value.code == "wrong-token"


def test_who_passes_everything_on_is_found_out_by_the_client(tmp_path, dealer):
    """Even if the daemon let it in: what it signs is its own address."""
    with SmallDaemon(tmp_path) as daemon, dripping(daemon._control.port) as proxy:
        daemon._control.answers_at(f"tcp://127.0.0.1:{proxy}")
        announce(
            tmp_path, f"tcp://127.0.0.1:{proxy}", daemon._blob.endpoint, token=TOKEN, instance="instance 1"
        )
        client = Client(tmp_path, name=NAME, dealer=dealer)
        with closing(client), pytest.raises(VelaturaError, match="Another program"):
            client.connect(timeout=10.0)
        assert daemon.count("challenge") == 1
        assert daemon.count("hello") == 0


def test_the_welcome_is_of_the_daemon_that_wrote_the_file(tmp_path, dealer):
    with SmallDaemon(tmp_path) as daemon:
        announce(
            tmp_path, daemon._control.endpoint, daemon._blob.endpoint, token=TOKEN, instance="instance 0"
        )
        client = Client(tmp_path, name=NAME, dealer=dealer)
        with closing(client), pytest.raises(VelaturaError, match="Another program"):
            client.connect(timeout=5.0)


def test_passwords_and_proofs_tell_nothing_of_each_other():
    nonce = "0" * 64
    made = {password(TOKEN, end) for end in ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "ipc://control.sock")}
    made |= {proof(TOKEN, "ipc://control.sock", nonce), proof(TOKEN, "ipc://blob.sock", nonce)}
    assert len(made) == 5
    assert (
        proof(TOKEN, "ipc:///home/anna/state/control.sock", nonce) in made
    )  # each calls the directory its own


@pytest.mark.parametrize("nonce", ["", "0" * 31, "g" * 64, "0" * 129, "0" * 64 + "\n", None, 7])
def test_a_daemon_signs_nonces_only(nonce):
    with pytest.raises(VelaturaError) as raised:
        proof(TOKEN, "ipc://control.sock", nonce)
    assert raised.value.code == "bad-request"


ANOTHER_USER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
listener = socket.socket(socket.AF_UNIX)
os.umask(0)
listener.bind(sys.argv[1]); listener.listen()
print("listening", flush=True)
heard = b""
while True:
    peer, _ = listener.accept()
    peer.settimeout(1.0)
    try:
        while piece := peer.recv(4096):
            heard += piece
    except OSError:
        pass
    print(heard.hex(), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else")
def test_another_users_process_at_the_socket_is_refused(tmp_path, dealer):
    folder = tmp_path / "state"
    folder.mkdir()
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o711)
    os.chown(folder, 65534, 65534)
    path = folder / "control.sock"
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER_USER, str(path)], stdout=subprocess.PIPE, text=True
    ) as squatter:
        try:
            assert squatter.stdout.readline() == "listening\n"
            os.chown(folder, 0, 0)
            folder.chmod(0o700)
            announce(folder, f"ipc://{path}", f"ipc://{path}")
            client = Client(folder, name=NAME, dealer=dealer)
            with closing(client), pytest.raises(VelaturaError, match="Another program") as raised:
                client.connect(timeout=5.0)
            assert raised.value.code == "not-running"
            assert "user 65534" in raised.value.detail
            heard = bytes.fromhex(squatter.stdout.readline())
        finally:
            squatter.kill()
    assert SECRET.encode() not in heard
    assert b"challenge" not in heard
