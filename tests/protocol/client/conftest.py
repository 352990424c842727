"""A client of each make, connected to a small daemon."""

from contextlib import closing

import pytest

from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.client import Client
from velatura_protocol.zmtp import Dealer

from ..small_daemon import SmallDaemon


@pytest.fixture(params=[Dealer, PyzmqDealer], ids=["stdlib", "pyzmq"])
def dealer(request):
    return request.param


@pytest.fixture
def daemon(tmp_path):
    with SmallDaemon(tmp_path) as running:
        yield running


@pytest.fixture
def client(daemon, dealer):
    with closing(Client(daemon.folder, name="test", dealer=dealer)) as connected:
        connected.connect()
        yield connected
