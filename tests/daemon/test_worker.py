"""Edits that run: what comes back, what goes wrong, whose turn it is."""

from __future__ import annotations

import io
import resource
import sys

import pytest
from PIL import Image

from tests.daemon.raw import MiB, Raw
from tests.daemon.samples import ENDLESS, new_job, pixels, raster, request
from tests.daemon_fixture import Daemon, wait_for
from tests.patience import patience
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura.methods.registry import registry
from velatura_protocol.client import Client
from velatura_protocol.messages import digest
from velatura_protocol.zmtp import Dealer

pytestmark = pytest.mark.timeout(120)


def run(raw, data=None, **changes):
    """Submits a job whose source is uploaded already or now; its id."""
    data = pixels() if data is None else data
    job = new_job()
    answer = raw.ask({"type": "submit", "job": job, "request": request(data, **changes)})
    assert answer["type"] == "job", answer
    if answer["missing"]:
        assert raw.upload(data)["stored"]
    return job


def ended(raw, job):
    return raw.wait_for(job, "done", "failed", "cancelled")


def wait_until_it_runs(raw, job):
    def runs():
        raw.listen()
        return any(e["type"] == "progress" and e["job"] == job and e["step"] for e, _ in raw.events)

    wait_for(runs, 60, "it does not run")


@pytest.mark.parametrize("dealer", [Dealer, PyzmqDealer])
def test_an_edit_from_end_to_end(broker, dealer):
    data, job, events = pixels(seed=11), new_job(), []
    client = Client(broker.state_dir, name="test", dealer=dealer)
    client.connect()
    client.submit(job, request(data, seed=-1, variations=2), {digest(data): data})
    state = client.wait(
        job, on_event=lambda event, payload: events.append((event, payload)), timeout=patience(100)
    )
    assert state["state"] == "done", state
    seeds = [layer["seed"] for layer in state["result"]["layers"]]
    assert seeds[1] == (seeds[0] + 1) % 2**31
    for index, layer in enumerate(state["result"]["layers"]):
        edited = client.fetch(layer["raster"]["digest"])
        assert len(edited) == 32 * 32 * 4
        assert layer["index"] == index
        recipe = layer["recipe"]
        assert (recipe["job"], recipe["variation"], recipe["seed"]) == (job, index, seeds[0])
        assert recipe["model"]["digest"].startswith("blake2b:")
        assert recipe["parameters"]["guidance"] == registry()[recipe["method"]].Parameters().guidance
        assert recipe["inputs"]["source"]["digest"] == digest(data)
    assert client.ack(job)["acknowledged"]
    previews = [(e, p) for e, p in events if e["type"] == "preview"]
    for event, payload in previews:
        image = Image.open(io.BytesIO(payload))
        assert image.size == (event["width"], event["height"])
        assert max(image.size) <= 256
    assert [e["fraction"] for e, _ in events if e["type"] == "progress"]
    client.close()


def test_the_same_request_gives_the_same_pixels(raw):
    jobs = [run(raw, pixels(seed=12), seed=5) for _ in range(2)]
    first, second = (ended(raw, job)["result"]["layers"][0]["raster"] for job in jobs)
    assert first == second


def test_a_job_says_each_of_its_states_once(raw):
    job = run(raw, pixels(seed=13))
    ended(raw, job)
    states = [(e["revision"], e["state"]) for e, _ in raw.events if e["type"] == "job" and e["job"] == job]
    assert states == [(2, "queued"), (3, "started"), (4, "done")]


def test_a_running_job_stops_at_its_next_step(broker, raw):
    job = run(raw, **ENDLESS)
    wait_until_it_runs(raw, job)
    worker = broker.worker_pid()
    assert raw.ask({"type": "cancel", "job": job})["state"] == "started"
    assert ended(raw, job)["state"] == "cancelled"
    assert ended(raw, run(raw))["state"] == "done"
    assert broker.worker_pid() == worker


def test_a_queued_job_is_cancelled_without_waiting_for_the_running_one(raw):
    first, second = run(raw, **ENDLESS), run(raw)
    wait_until_it_runs(raw, first)
    assert raw.ask({"type": "cancel", "job": second})["state"] == "cancelled"
    assert raw.ask({"type": "get", "job": first})["state"] == "started"
    raw.ask({"type": "cancel", "job": first})
    ended(raw, first)


def test_clients_take_turns(broker, raw):
    with Raw(broker.connection) as other:
        blocker = run(raw, **ENDLESS)
        wait_until_it_runs(raw, blocker)
        mine = [run(raw, seed=seed) for seed in range(3)]
        theirs = run(other, seed=9)
        raw.ask({"type": "watch", "jobs": [theirs]})
        raw.ask({"type": "cancel", "job": blocker})
        for job in (*mine, theirs):
            ended(raw, job)
        order = [e["job"] for e, _ in raw.events if e["type"] == "job" and e["state"] == "done"]
        assert order.index(theirs) < order.index(mine[1])


def test_what_only_the_pixels_show_fails_the_job(raw):
    empty = bytes(1024)
    mask = raster(empty, channels="A")
    raw.ask_blob({"type": "put", "digest": digest(empty), "size": 1024})
    raw.upload(empty)
    job = run(raw, inputs={"source": raster(pixels()), "mask": mask})
    failed = ended(raw, job)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "empty-mask")


def test_a_prompt_that_the_model_cannot_read_fails_the_job(raw):
    failed = ended(raw, run(raw, prompt="letters " * 20))
    assert (failed["state"], failed["error"]["code"]) == ("failed", "prompt-too-long")


def test_a_layer_that_has_gone_fails_the_job(broker, raw):
    blocker = run(raw, **ENDLESS)
    wait_until_it_runs(raw, blocker)
    data = pixels(seed=14)
    job = run(raw, data)
    raw.wait_for(job, "queued")
    (broker.state_dir / "spool" / "blobs" / digest(data).removeprefix("blake2b:")).unlink()
    raw.ask({"type": "cancel", "job": blocker})
    failed = ended(raw, job)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "unknown-blob")


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process's memory")
def test_too_little_memory_fails_the_job_and_nothing_else(broker, raw):
    ended(raw, run(raw))
    worker = broker.worker_pid()
    with open(f"/proc/{worker}/statm") as statm:
        in_use = int(statm.read().split()[0]) * resource.getpagesize()
    before = resource.prlimit(worker, resource.RLIMIT_AS, (in_use + 48 * MiB, resource.RLIM_INFINITY))
    data = b"\xff" * (2048 * 2048 * 4)
    source = raster(data, 2048, 2048)
    job = run(raw, data, inputs={"source": source, "mask": None}, canvas=[2048, 2048])
    failed = ended(raw, job)
    resource.prlimit(worker, resource.RLIMIT_AS, before)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "out-of-memory")
    assert ended(raw, run(raw))["state"] == "done"
    assert broker.worker_pid() == worker


BROKEN_TORCH = "raise ImportError('torch is broken on purpose')"


def test_a_worker_that_cannot_start_fails_the_jobs_in_a_sentence(state_dir, tmp_path):
    (tmp_path / "torch.py").write_text(BROKEN_TORCH)
    path = {"PYTHONPATH": ":".join([str(tmp_path), *sys.path])}
    with Daemon(state_dir, path, prestart=False) as daemon, Raw(daemon.connection) as raw:
        failed = ended(raw, run(raw))
        assert (failed["state"], failed["error"]["code"]) == ("failed", "unavailable")
        assert "on purpose" in failed["error"]["detail"]
        assert raw.ask({"type": "ping"})["worker"] == "stopped"
        assert ended(raw, run(raw))["error"]["code"] == "unavailable"
