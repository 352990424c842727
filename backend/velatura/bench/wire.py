"""`velatura bench wire`: what the wire costs, measured in one run against a daemon of its own."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from velatura.bench.echo import echo, echo_server
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura.daemon.settings import CHUNK, CREDIT
from velatura.models import catalogue
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.paths import read_connection
from velatura_protocol.session import Link
from velatura_protocol.transfers import Download, upload
from velatura_protocol.zmtp import Dealer

GOALS = {"ratio": 2.0, "control_p99_ms": 25.0, "cancel_steps": 1.0}
START_S, EDIT_S = 60.0, 300.0
PING_EVERY_S = 0.002


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures; gives 0 whether or not the goals are met."""
    parser = argparse.ArgumentParser(prog="velatura bench wire", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--side", type=int, default=4096, help="pixels of a side of the layer (RGBA, 8 bits)")
    parser.add_argument("--repeat", type=int, default=5, help="transfers of each kind; medians are printed")
    parser.add_argument("--model", metavar="FOLDER", help="the model whose edit is cancelled (default: ours)")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="velatura-bench-") as folder:
        figures = measure(Path(folder), chosen.side**2 * 4, chosen.repeat, chosen.model)
    print(json.dumps(figures, indent=2) if chosen.json else report(figures))
    return 0


def measure(folder: Path, size: int, repeat: int, model: str | None = None) -> dict:
    """All figures, of `repeat` transfers of `size` bytes. folder: an empty one, for the daemon's state."""
    state_dir = folder / "state"
    if model:
        catalogue.add(state_dir, "bench", model)
    daemon = subprocess.Popen(
        [sys.executable, "-m", "velatura.daemon.serve"],
        env=os.environ | {"VELATURA_STATE_DIR": str(state_dir)},
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_for_idle(state_dir)
        figures = {"bytes": size, "repeat": repeat, **_transfers(state_dir, size, repeat)}
        return {**figures, "cancel": _cancel(state_dir)}
    finally:
        daemon.terminate()
        daemon.wait(30)


# Bytes


def _transfers(state_dir: Path, size: int, repeat: int) -> dict:
    """The kinds take turns, so that whatever else the machine does falls on all alike."""
    kinds: dict[str, list[float]] = {"echo": []}
    with echo_server() as port, _Pinger(state_dir) as pinger:
        quiet = pinger.during(lambda: time.sleep(1.0))[1]
        busy: list[float] = []
        for _ in range(repeat):
            data = os.urandom(size)
            kinds["echo"].append(echo(port, memoryview(data), CHUNK, CREDIT))
            for dealer in (PyzmqDealer, Dealer):
                # another byte in front, so that the daemon has not got it yet
                fresh = bytes([dealer is Dealer]) + data[1:]
                times, pings = pinger.during(
                    lambda dealer=dealer, fresh=fresh: _there_and_back(state_dir, dealer, fresh)
                )
                busy += pings
                for kind, seconds in times.items():
                    kinds.setdefault(f"{_NAMES[dealer]}_{kind}", []).append(seconds)
    middle = {kind: statistics.median(times) for kind, times in kinds.items()}
    return {
        "seconds": {kind: round(seconds, 4) for kind, seconds in middle.items()},
        "ratios": {name: _ratios(middle, name) for name in _NAMES.values()},
        "control_ms": {"quiet": _percentiles(quiet), "during_transfers": _percentiles(busy)},
    }


_NAMES = {PyzmqDealer: "pyzmq", Dealer: "stdlib"}


def _there_and_back(state_dir: Path, dealer: Callable[[], object], data: bytes) -> dict[str, float]:
    """Seconds up and down, and how much of them went into hashing (at both ends) and spooling."""
    name, at_the_client = _timed(lambda: digest(data))
    connection = read_connection(state_dir)
    link = Link(connection, dealer, name="bench", session="", timeout=5.0, on_event=lambda *_: None)
    try:
        up = _timed(lambda: upload(link, name, data))[1]
        down = _timed(lambda: Download(name).run(link))[1]
    finally:
        link.close()
    log = (state_dir / "daemon.log").read_text("utf-8")
    spent = json.loads(re.search(f"blob {name} is stored: .* seconds (.*)", log)[1])
    return {
        "up": up,
        "down": down,
        "hashing": spent["hashing"] + at_the_client,
        "spooling": spent["writing"] + spent["syncing"],
    }


def _ratios(seconds: dict[str, float], name: str) -> dict:
    """To the bare echo: of all that happens, and without hashing and spooling."""
    total = seconds[f"{name}_up"] + seconds[f"{name}_down"]
    bare = total - seconds[f"{name}_hashing"] - seconds[f"{name}_spooling"]
    return {"all": round(total / seconds["echo"], 2), "transfer": round(bare / seconds["echo"], 2)}


# Control


class _Pinger:
    """A process that pings the daemon while something else happens."""

    def __init__(self, state_dir: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_ping, args=(str(state_dir), theirs), daemon=True)

    def __enter__(self) -> _Pinger:
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def during(self, work: Callable[[], object]) -> tuple:
        """The work's result, and the round trips meanwhile, in seconds."""
        self._pipe.send("begin")
        result = work()
        self._pipe.send("end")
        return result, self._pipe.recv()


def _ping(state_dir: str, pipe: Connection) -> None:
    client = Client(state_dir, name="bench pings", dealer=PyzmqDealer)
    client.connect()
    pipe.send("ready")
    while True:
        while not pipe.poll(1.0):  # "begin", and a sign of life meanwhile
            client.request({"type": "ping"})
        pipe.recv()
        times = []
        while not pipe.poll(PING_EVERY_S):
            times.append(_timed(lambda: client.request({"type": "ping"}))[1])
        pipe.recv()
        pipe.send(times)


def _percentiles(times: list[float]) -> dict:
    ordered = sorted(times)
    p50, p99 = (1000 * ordered[int(p * (len(ordered) - 1))] for p in (0.5, 0.99))
    return {
        "p50": round(p50, 2),
        "p99": round(p99, 2),
        "max": round(1000 * ordered[-1], 2),
        "n": len(ordered),
    }


# Cancel


def _cancel(state_dir: Path) -> dict:
    """How long a running edit takes to stop, in seconds and in its own steps."""
    client = Client(state_dir, name="bench", dealer=PyzmqDealer)
    client.connect()
    data, job = bytes([128, 128, 128, 255]) * 256 * 256, str(uuid.uuid4())
    name = digest(data)
    steps: list[
        tuple[int, float]
    ] = []  # each with the time at which we heard of it; not every one is heard of
    began = None
    try:
        client.submit(job, _request(name, 256), {name: data})
        deadline = time.monotonic() + EDIT_S
        while time.monotonic() < deadline:
            for event, _ in client.events(0.05):
                if event["type"] == "progress" and event["step"]:
                    steps.append((event["step"], time.perf_counter()))
                if event["type"] == "job" and event["state"] == "cancelled":
                    return _cancel_figures(time.perf_counter() - began, steps)
                if event["type"] == "job" and event["state"] in ("failed", "done"):
                    return {"not_measured": event.get("error", {}).get("message", "the edit was too short")}
            if began is None and steps and steps[-1][0] - steps[0][0] >= 8:
                began = time.perf_counter()
                client.cancel(job)
        return {"not_measured": "the edit did not stop"}
    except VelaturaError as error:
        return {"not_measured": error.message}
    finally:
        client.close()


def _cancel_figures(seconds: float, steps: list[tuple[int, float]]) -> dict:
    (first, began), (last, ended) = steps[0], steps[-1]
    step = (ended - began) / (last - first)
    return {"seconds": round(seconds, 4), "step_seconds": round(step, 4), "steps": round(seconds / step, 2)}


# The rest


def _request(name: str, side: int) -> dict:
    source = {
        "digest": name,
        "width": side,
        "height": side,
        "channels": "RGBA",
        "dtype": "u8",
        "profile": "sRGB",
        "rect": [0, 0, side, side],
    }
    return {
        "velatura": 1,
        "method": "sdedit",
        "method_version": 0,
        "model": {"id": "", "digest": ""},
        "prompt": "a portrait",
        "seed": 0,
        "variations": 4,
        "parameters": {"steps": 150, "strength": 1.0},
        "inputs": {"source": source, "mask": None},
        "canvas": [side, side],
    }


def _wait_for_idle(state_dir: Path) -> None:
    """Until the daemon answers and its worker has started, or has failed to."""
    deadline = time.monotonic() + START_S
    client = Client(state_dir, name="bench", dealer=PyzmqDealer)
    try:
        while time.monotonic() < deadline:
            try:
                if client.request({"type": "ping"})["worker"] != "starting":
                    return
            except VelaturaError:
                pass
            time.sleep(0.1)
    finally:
        client.close()
    raise VelaturaError("not-running", "The daemon to be measured does not start.")


def _timed(work: Callable[[], object]) -> tuple:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def report(figures: dict) -> str:
    """The figures as text."""
    ms = {kind: f"{1000 * seconds:7.0f} ms" for kind, seconds in figures["seconds"].items()}
    control, cancel = figures["control_ms"], figures["cancel"]
    lines = [
        f"{figures['bytes'] / 2**20:.0f} MiB to the daemon and back, median of {figures['repeat']}",
        f"  bare loopback echo  {ms['echo']}   the same pieces, {CREDIT} of them under way",
    ]
    for name, ratio in figures["ratios"].items():
        whose = "libzmq's client" if name == "pyzmq" else "the plugins' client"
        goal = f"(goal: under {GOALS['ratio']:g}; {ratio['all']:.2f} with hashing and spooling)"
        lines += [
            f"  {whose}",
            f"    up                {ms[name + '_up']}",
            f"    down              {ms[name + '_down']}",
            f"    thereof hashing   {ms[name + '_hashing']}   BLAKE2b, once at each end",
            f"    thereof spooling  {ms[name + '_spooling']}   write, sync, rename",
            f"    the rest to echo  {ratio['transfer']:7.2f} x   {goal}",
        ]
    lines += ["Control round trip"]
    for name, p in control.items():
        goal = f"   (goal: p99 under {GOALS['control_p99_ms']:g} ms)" if name != "quiet" else ""
        figure = f"p50 {p['p50']:.2f}, p99 {p['p99']:.2f} ms of {p['n']}"
        lines.append(f"  {name.replace('_', ' '):18}  {figure}{goal}")
    lines += ["Cancel to idle"]
    if "not_measured" in cancel:
        lines.append(f"  not measured: {cancel['not_measured']}")
    else:
        step = f"{cancel['steps']:.2f} steps of {1000 * cancel['step_seconds']:.0f} ms"
        lines.append(f"  {1000 * cancel['seconds']:.0f} ms: {step}   (goal: {GOALS['cancel_steps']:g} step)")
    return "\n".join(lines)
