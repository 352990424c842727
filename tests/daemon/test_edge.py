"""The edge of a loop: a fault costs the message that caused it, and no more."""

from __future__ import annotations

import json
import logging
import threading

import pytest
import zmq

from tests.daemon_fixture import wait_for
from velatura.daemon.broker.notes import Stop
from velatura.daemon.broker.router_thread import RouterThread
from velatura.daemon.faults import Edge

pytestmark = pytest.mark.timeout(60)


class Faulty(RouterThread):
    """Answers `ping`; whatever else it is given to do it fails at."""

    at_a_time = 8
    idle_ms, busy_ms = 20, 2

    def __init__(self, router):
        super().__init__("faulty", router, prove=str, every=0.0)
        self.looked = 0

    def _handle(self, identity, message, payload):
        if message["type"] != "ping":
            raise KeyError(message["type"])
        self._reply(identity, {"type": "pong", "re": message["seq"], "odd": float("nan")})

    def _deliver(self, note):
        raise OSError(24, "no file handles")

    def _look_after(self, now):
        self.looked += 1
        raise RuntimeError("upkeep")

    def _end(self):
        raise ValueError("its end")


@pytest.fixture
def faulty():
    context = zmq.Context()
    router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    dealer.linger = 0
    dealer.connect(f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}")
    thread = Faulty(router)
    thread.start()
    yield thread, dealer
    thread.mailbox.put(Stop())
    thread.join(20)
    assert not thread.is_alive()
    context.destroy(linger=0)  # which would wait for ever for a socket that the thread has left open


def ask(dealer, **message):
    dealer.send(json.dumps(message).encode())
    assert dealer.poll(10_000), "no answer"
    return json.loads(dealer.recv_multipart()[0])


def test_a_thread_goes_on_after_a_fault_in_each_of_its_parts(faulty, caplog):
    thread, dealer = faulty
    for seq in range(0, 60, 3):
        assert ask(dealer, type="ping", seq=seq) == {"type": "pong", "re": seq, "odd": None}
        answer = ask(dealer, type="odd", seq=seq + 1)
        assert (answer["type"], answer["re"], answer["code"]) == ("error", seq + 1, "internal")
        thread.mailbox.put("a note that cannot be delivered")
    wait_for(lambda: thread.looked > 5, 20, "upkeep is left off")
    assert ask(dealer, type="ping", seq=99)["re"] == 99
    told = [
        record.getMessage()
        for record in caplog.records
        if record.name == "velatura.daemon.broker.router_thread"
    ]
    assert sorted(told) == [  # each fault once, however often it came
        "the faulty thread, a message",
        "the faulty thread, a note",
        "the faulty thread, upkeep",
    ]


def test_a_fault_that_comes_at_each_pass_is_waited_out():
    """Longer and longer, so that no processor is kept busy."""
    rests = []
    edge = Edge(logging.getLogger("test"), "a loop")
    for _ in range(12):
        with edge.guarded("polling", lasting=True):
            raise OSError("each time")
        rests.append(edge.rest())
    assert rests == sorted(rests) and rests[0] > 0 and rests[-1] == 1.0
    assert edge.rest() == 0.0
    with edge.guarded("a message"):
        raise OSError("once")
    assert edge.rest() == 0.0  # what came with a message is over with it


def test_what_ends_a_thread_passes():
    edge = Edge(logging.getLogger("test"), "a loop")
    with pytest.raises(SystemExit), edge.guarded("a message"):
        raise SystemExit


def test_threads_do_not_keep_the_process(faulty):
    thread, _ = faulty
    assert thread.daemon and thread in threading.enumerate()
