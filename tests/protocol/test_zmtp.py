"""The standard-library DEALER against libzmq, and against peers that misbehave."""

import os
import socket
import struct
import threading
import time
from contextlib import closing, suppress

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from tests.patience import patience
from velatura_protocol import zmtp
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import MAX_PAYLOAD
from velatura_protocol.parser import (
    MAX_COMMAND,
    STAGING,
    Command,
    Greeting,
    Malformed,
    Reader,
    command,
    greeting,
    header,
)
from velatura_protocol.zmtp import Dealer

from .peers import TOKEN, Router, dripping, raw_server, until_it_hangs_up

pytestmark = pytest.mark.timeout(60)

GREETING = greeting(b"PLAIN")  # a server's is the same


def dealer(port: int, token: str = TOKEN, **options) -> closing:
    connected = Dealer(**options)
    connected.connect(f"tcp://127.0.0.1:{port}", token, patience(5.0))
    return closing(connected)


def shake_hands(peer: socket.socket) -> None:
    """The server's half of the handshake."""
    peer.sendall(GREETING)
    peer.recv(64, socket.MSG_WAITALL)
    peer.recv(4096)
    peer.sendall(command(b"WELCOME"))
    peer.recv(4096)
    peer.sendall(command(b"READY"))


def refusal(port: int, **options) -> VelaturaError:
    """The error with which `connect`, or else the first `recv`, ends."""
    with pytest.raises(VelaturaError) as caught, dealer(port, **options) as d:
        while d.recv(2.0) is not None:
            pass
        d.recv(0)
    return caught.value


# -- against libzmq --------------------------------------------------------------------------------------


def test_a_message_comes_back():
    with Router() as router, dealer(router.port) as d:
        d.send([b"{}", b"", b"x" * 255, b"y" * 256])
        assert d.recv(5.0) == [b"{}", b"", b"x" * 255, b"y" * 256]
        assert d.recv(0) is None


def test_payloads_of_any_buffer_type_are_taken():
    with Router() as router, dealer(router.port) as d:
        d.send([bytearray(b"a"), memoryview(struct.pack("<2f", 1, 2)).cast("f")])
        assert d.recv(5.0) == [b"a", struct.pack("<2f", 1, 2)]


def test_many_large_messages_both_ways_at_once():
    """More than every buffer between holds: a DEALER that does not read while it sends would hang."""
    payload = os.urandom(MAX_PAYLOAD)
    with Router() as router, dealer(router.port) as d:
        for i in range(48):
            d.send([b"%d" % i, payload])
        for i in range(48):
            assert d.recv(10.0) == [b"%d" % i, payload]


@pytest.mark.parametrize(
    "size", [0, 1, 255, 256, STAGING - 9, STAGING, STAGING + 1, 2 * STAGING + 3, MAX_PAYLOAD]
)
def test_every_size_of_frame(size):
    payload = os.urandom(size)
    with Router() as router, dealer(router.port) as d:
        d.send([payload, payload])
        assert d.recv(5.0) == [payload, payload]


def test_a_wrong_token_is_refused():
    with Router() as router:
        assert refusal(router.port, token="another").code == "wrong-token"


def test_a_server_without_plain_is_not_the_daemon_and_gets_no_token():
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    assert refusal(port).code == "not-running"
    context.destroy(linger=0)


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert refusal(port).code == "not-running"


def test_a_lost_server_is_an_error_and_the_next_one_is_reached():
    with Router() as router, dealer(router.port) as d:
        port = router.port
        d.send([b"before"])
        assert d.recv(5.0) == [b"before"]
        router.close()
        with pytest.raises(VelaturaError, match="lost") as caught:
            d.recv(5.0)
        assert caught.value.code == "not-running" and caught.value.retryable
        with pytest.raises(VelaturaError, match="lost"):
            d.send([b"after"])
        router.__init__(endpoint=f"tcp://127.0.0.1:{port}")
        with dealer(port) as again:
            again.send([b"again"])
            assert again.recv(5.0) == [b"again"]


def test_libzmqs_heartbeats_are_answered():
    def setup(router):
        router.heartbeat_ivl, router.heartbeat_timeout = 100, 900

    with Router(setup=setup) as router, dealer(router.port) as d:
        assert d.recv(1.5) is None  # unanswered heartbeats would have closed the connection
        d.send([b"alive"])
        assert d.recv(5.0) == [b"alive"]


def test_libzmq_answers_our_heartbeats():
    with Router() as router, dealer(router.port, heartbeat=0.3) as d:
        assert d.recv(1.5) is None  # without an answer it would be lost after 1.2 s
        d.send([b"alive"])
        assert d.recv(5.0) == [b"alive"]


def test_a_byte_at_a_time():
    payload = os.urandom(3000)
    with Router() as router, dripping(router.port) as proxy:
        router.answers_at(f"tcp://127.0.0.1:{proxy}")
        with dealer(proxy) as d:
            d.send([b"{}", payload])
            assert d.recv(20.0) == [b"{}", payload]


def test_without_sendmsg(monkeypatch):
    """Windows has none."""
    monkeypatch.setattr(zmtp, "HAS_SENDMSG", False)
    payload = os.urandom(MAX_PAYLOAD)
    with Router() as router, dealer(router.port) as d:
        d.send([b"{}", payload])
        assert d.recv(5.0) == [b"{}", payload]


# -- against peers that misbehave ------------------------------------------------------------------------


def test_a_peer_that_never_speaks():
    with raw_server(until_it_hangs_up) as port:
        late = Dealer()
        with pytest.raises(VelaturaError) as caught:
            late.connect(f"tcp://127.0.0.1:{port}", TOKEN, 0.2)
        assert caught.value.code == "timeout"
        late.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"\xff",
        b"\xff" + bytes(8) + b"\x7f\x01" + bytes(53),
        greeting(b"NULL"),
        GREETING + b"\x00\x00",
        GREETING + command(b"READY"),
        GREETING + command(b"ERROR", b"\x03500"),
        GREETING + b"\x04\x00",
        GREETING + b"\x04\x05\xffabcd",
        GREETING + b"\x06" + struct.pack(">Q", MAX_COMMAND + 1),
    ],
    ids=lambda answer: repr(answer[-12:]),
)
def test_a_stranger_on_the_port(answer):
    def serve(peer):
        peer.sendall(answer)
        peer.recv(64, socket.MSG_WAITALL)

    with raw_server(serve) as port:
        assert refusal(port).code == "not-running"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 100,
        b"\x08\x00",
        b"\x05\x05abcde",
        header(MAX_PAYLOAD + 1),
        header(2**63),
        header(0, more=True) * 100,
        command(b"ERROR", b"\x04gone"),
        header(1000) + b"cut short",
    ],
    ids=lambda garbage: repr(garbage[:12]),
)
def test_garbage_after_the_handshake_ends_the_connection(garbage):
    def serve(peer):
        shake_hands(peer)
        peer.sendall(garbage)

    with raw_server(serve) as port:
        assert refusal(port).code == "not-running"


def test_what_came_before_the_loss_is_still_received():
    def serve(peer):
        shake_hands(peer)
        peer.sendall(header(3) + b"one" + header(3) + b"two")

    with raw_server(serve) as port, dealer(port) as d:
        time.sleep(0.1)
        assert [d.recv(1.0), d.recv(1.0)] == [[b"one"], [b"two"]]
        with pytest.raises(VelaturaError):
            d.recv(1.0)


def test_a_peer_that_does_not_read_bounds_what_waits():
    tried = threading.Event()

    def serve(peer):
        shake_hands(peer)
        tried.wait(patience(60))

    payload = bytes(MAX_PAYLOAD)
    with raw_server(serve) as port, dealer(port) as d:
        with pytest.raises(VelaturaError) as caught:
            for _ in range(64):
                d.send([payload], timeout=0.2)
        tried.set()
    assert caught.value.code == "timeout"


def test_a_flood_is_left_in_the_socket():
    """A peer that only sends does not fill our memory while we send."""

    def serve(peer):
        shake_hands(peer)
        peer.settimeout(1.0)
        while True:
            peer.sendall(header(0) * 1000)

    with raw_server(serve) as port, dealer(port) as d:
        with pytest.raises(VelaturaError):
            for _ in range(64):
                d.send([bytes(MAX_PAYLOAD)], timeout=0.5)
        assert d._reader.size < zmtp.INBOX + STAGING * 128


def test_a_peer_that_falls_silent_is_lost():
    def serve(peer):
        shake_hands(peer)
        until_it_hangs_up(peer)

    with raw_server(serve) as port, dealer(port, heartbeat=0.1) as d, pytest.raises(VelaturaError) as caught:
        d.recv(patience(30))
    assert caught.value.detail == "no answer to PING"


# -- the parser ------------------------------------------------------------------------------------------


def feed(data: bytes, sizes: list[int]) -> list:
    """What a reader makes of `data` that arrives in pieces of the given sizes, over and over."""
    reader = Reader(max_frame=1 << 16, max_frames=4)
    items, at, turn = [], 0, 0
    while at < len(data):
        target = reader.target()
        assert len(target) > 0
        n = min(sizes[turn % len(sizes)], len(target), len(data) - at)
        target[:n] = data[at : at + n]
        reader.received(n)
        while reader.items:
            items.append(reader.pop())
        assert reader.size == 0
        at, turn = at + n, turn + 1
    return items


sizes = st.lists(st.integers(1, 40000), min_size=1, max_size=5)
frames = st.lists(st.binary(max_size=300) | st.integers(0, 60000).map(bytes), min_size=1, max_size=4)


@given(st.lists(frames | st.builds(Command, st.binary(max_size=20), st.binary(max_size=300))), sizes)
def test_what_is_written_is_read_in_any_pieces(items, sizes):
    data = GREETING
    for item in items:
        if isinstance(item, Command):
            body = bytes([len(item.name)]) + item.name + item.data
            data += header(len(body), kind=4) + body
        else:
            for i, frame in enumerate(item):
                data += header(len(frame), more=i < len(item) - 1) + frame
    assert feed(data, sizes) == [Greeting(3, 1, "PLAIN"), *items]


@given(st.binary(max_size=3000), st.booleans(), sizes)
def test_garbage_is_malformed_or_nothing(garbage, greeted, sizes):
    with suppress(Malformed):
        feed((GREETING if greeted else b"") + garbage, sizes)
