"""Sending without waiting, on real sockets whose buffers are small."""

from __future__ import annotations

import pytest
import zmq

from tests.daemon_fixture import wait_for
from velatura.daemon.broker.outbox import Outbox

BIG = b"x" * 500_000


@pytest.fixture
def sockets():
    """A ROUTER and a DEALER with room for one message, and what the first calls the second."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.DEALER) as dealer:
        for socket in (router, dealer):
            socket.linger = 0
            socket.sndhwm = socket.rcvhwm = 1
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.setsockopt(zmq.SNDBUF, 4096)
        dealer.setsockopt(zmq.RCVBUF, 4096)
        port = router.bind_to_random_port("tcp://127.0.0.1")
        dealer.connect(f"tcp://127.0.0.1:{port}")
        dealer.send(b"hello")
        yield router, dealer, router.recv_multipart()[0]


def fill(outbox, peer, count=8):
    for i in range(count):
        assert outbox.send(peer, [b"%d" % i, BIG])


def drain(outbox, dealer, count):
    def some():
        outbox.flush()
        while dealer.poll(5):
            got.append(dealer.recv_multipart()[0])
        return len(got) >= count

    got: list[bytes] = []
    wait_for(some, 10, "messages are missing")
    return got


def test_nothing_is_lost_and_the_order_stays(sockets):
    router, dealer, peer = sockets
    outbox = Outbox(router)
    fill(outbox, peer, 20)
    assert outbox.pending
    assert drain(outbox, dealer, 20) == [b"%d" % i for i in range(20)]
    assert not outbox.pending


def test_only_the_newest_of_a_key_is_kept(sockets):
    router, dealer, peer = sockets
    outbox = Outbox(router)
    fill(outbox, peer)
    for i in range(1000):
        assert outbox.send(peer, [b"progress %d" % i], key="progress")
    outbox.send(peer, [b"done"])
    assert drain(outbox, dealer, 10)[-2:] == [b"progress 999", b"done"]


@pytest.mark.parametrize("limits", [{"messages": 3}, {"size": 3 * len(BIG)}])
def test_a_client_that_does_not_read_is_cut_off(sockets, limits):
    router, _, peer = sockets
    outbox = Outbox(router, **limits)
    sent = [outbox.send(peer, [b"", BIG]) for _ in range(12)]
    assert False in sent
    assert sent.index(False) >= 3


def test_a_client_that_has_gone_is_told(sockets):
    router, dealer, peer = sockets
    outbox = Outbox(router)
    fill(outbox, peer)
    dealer.close()

    def noticed():
        router.poll(0)  # libzmq learns of the end of a connection by reading, as the daemon's loop does
        outbox.flush()
        return not outbox.send(peer, [b"more"])

    wait_for(noticed, 10, "nobody notices")
    assert not outbox.send(b"nobody", [b"hello"])
