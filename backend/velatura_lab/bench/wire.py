"""`velatura bench wire`: the cost of the wire, measured in one run against a daemon of its own."""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura.daemon.settings import CHUNK, CREDIT
from velatura.daemon.sockets import choose_transport
from velatura.models import catalogue
from velatura_lab.bench.cancel import cancel
from velatura_lab.bench.echo import echo, echo_server
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.paths import read_connection
from velatura_protocol.session import Link, Transport
from velatura_protocol.transfers import Download, upload
from velatura_protocol.zmtp import Dealer

GOALS = {"ratio": 2.0, "control_p99_ms": 25.0, "cancel_steps": 1.0}
START_S = 60.0
T = TypeVar("T")
PING_EVERY_S = 0.002


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures. Gives 0, even if a goal is missed."""
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


def measure(folder: Path, size: int, repeat: int, model: str | None = None) -> dict[str, Any]:
    """All figures. Each available transport has a daemon of its own, and its figures under its name.

    Args:
        folder: an empty one, for the daemons' state.
        size: bytes of a transfer.
        repeat: transfers of each kind.
        model: folder of the model whose edit is cancelled; None for the embedded one.
    """
    with contextlib.ExitStack() as stack:
        lines = {name: stack.enter_context(_line(folder / name, name, model)) for name in _transports(folder)}
        for line in lines.values():
            _wait_for_idle(line.state_dir)
        figures = {name: line.figures() for name, line in _transfers(lines, size, repeat).items()}
        return {"bytes": size, "repeat": repeat, **figures, "cancel": cancel(lines["tcp"].state_dir)}


def _transports(folder: Path) -> list[str]:
    return ["ipc", "tcp"] if choose_transport(folder, "auto") == "ipc" else ["tcp"]


@contextlib.contextmanager
def _line(folder: Path, transport: str, model: str | None) -> Generator[_Line]:
    """A daemon with this transport, and the bare echo beside it."""
    state_dir = folder / "state"
    state_dir.mkdir(parents=True, mode=0o700)
    (state_dir / "settings.toml").write_text(f'transport = "{transport}"\n', "utf-8")
    if model:
        catalogue.add(state_dir, "bench", model)
    daemon = subprocess.Popen(
        [sys.executable, "-m", "velatura.daemon.serve"],
        env=os.environ | {"VELATURA_STATE_DIR": str(state_dir)},
        stdin=subprocess.DEVNULL,
    )
    try:
        where = f"ipc://{folder / 'echo'}" if transport == "ipc" else "tcp://127.0.0.1:*"
        with echo_server(where) as endpoint:
            yield _Line(state_dir, endpoint)
    finally:
        daemon.terminate()
        daemon.wait(30)


# Bytes


@dataclass
class _Line:
    """The measurements of one transport: seconds by kind, and control round trips."""

    state_dir: Path
    echo: str
    kinds: dict[str, list[float]] = field(default_factory=dict)
    quiet: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def note(self, kind: str, seconds: float) -> None:
        self.kinds.setdefault(kind, []).append(seconds)

    def figures(self) -> dict[str, Any]:
        middle = {kind: statistics.median(times) for kind, times in self.kinds.items()}
        return {
            "seconds": {kind: round(seconds, 4) for kind, seconds in middle.items()},
            "ratios": {name: _ratios(middle, name) for name in _NAMES.values()},
            "control_ms": {"quiet": _percentiles(self.quiet), "during_transfers": _percentiles(self.busy)},
        }


def _transfers(lines: dict[str, _Line], size: int, repeat: int) -> dict[str, _Line]:
    """The kinds and transports take turns, so that other work on the machine slows all alike."""
    with contextlib.ExitStack() as stack:
        pingers = {name: stack.enter_context(_Pinger(line.state_dir)) for name, line in lines.items()}
        for name, line in lines.items():
            line.quiet += pingers[name].during(lambda: time.sleep(1.0))[1]
        for _ in range(repeat):
            data = os.urandom(size)
            for name, line in lines.items():
                line.note("echo", echo(line.echo, memoryview(data), CHUNK, CREDIT))
                for dealer in (PyzmqDealer, Dealer):
                    # another first byte, so that the daemon does not have the blob yet
                    fresh = bytes([dealer is Dealer]) + data[1:]
                    times, pings = pingers[name].during(
                        lambda line=line, dealer=dealer, fresh=fresh: _there_and_back(
                            line.state_dir, dealer, fresh
                        )
                    )
                    line.busy += pings
                    for kind, seconds in times.items():
                        line.note(f"{_NAMES[dealer]}_{kind}", seconds)
    return lines


_NAMES = {PyzmqDealer: "pyzmq", Dealer: "stdlib"}


def _there_and_back(state_dir: Path, dealer: Callable[[], Transport], data: bytes) -> dict[str, float]:
    """Seconds up and down, and their parts for hashing (at both ends) and spooling."""
    name, at_the_client = _timed(lambda: digest(data))
    connection = read_connection(state_dir)
    link = Link(connection, dealer, name="bench", session="", timeout=5.0, on_event=lambda *_: None)
    try:
        up = _timed(lambda: upload(link, name, data))[1]
        down = _timed(lambda: Download(name).run(link))[1]
    finally:
        link.close()
    log = (state_dir / "daemon.log").read_text("utf-8")
    stored = re.search(f"blob {name} is stored: .* seconds (.*)", log)
    if stored is None:
        raise VelaturaError("internal", "The daemon's log does not tell the seconds of a blob.")
    spent = json.loads(stored[1])
    return {
        "up": up,
        "down": down,
        "hashing": spent["hashing"] + at_the_client,
        "spooling": spent["writing"] + spent["syncing"],
    }


def _ratios(seconds: dict[str, float], name: str) -> dict[str, float]:
    """Ratios to the bare echo: of the whole transfer, and without hashing and spooling."""
    total = seconds[f"{name}_up"] + seconds[f"{name}_down"]
    bare = total - seconds[f"{name}_hashing"] - seconds[f"{name}_spooling"]
    return {"all": round(total / seconds["echo"], 2), "transfer": round(bare / seconds["echo"], 2)}


# Control


class _Pinger:
    """A process that pings the daemon during other work."""

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

    def during(self, work: Callable[[], T]) -> tuple[T, list[float]]:
        """The work's result, and the seconds of the round trips meanwhile."""
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
        times: list[float] = []
        while not pipe.poll(PING_EVERY_S):
            times.append(_timed(lambda: client.request({"type": "ping"}))[1])
        pipe.recv()
        pipe.send(times)


def _percentiles(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    p50, p99 = (1000 * ordered[int(p * (len(ordered) - 1))] for p in (0.5, 0.99))
    return {
        "p50": round(p50, 2),
        "p99": round(p99, 2),
        "max": round(1000 * ordered[-1], 2),
        "n": len(ordered),
    }


# The rest


def _wait_for_idle(state_dir: Path) -> None:
    """Waits until the daemon answers and its worker has started or failed to start."""
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


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines = [f"{figures['bytes'] / 2**20:.0f} MiB to the daemon and back, median of {figures['repeat']}"]
    for transport, title in (("ipc", "Unix sockets"), ("tcp", "Loopback TCP")):
        if transport in figures:
            lines += [title, *_report(figures[transport])]
    stop = figures["cancel"]
    lines += ["Cancel to idle"]
    if "not_measured" in stop:
        lines.append(f"  not measured: {stop['not_measured']}")
    else:
        step = f"{stop['steps']:.2f} steps of {1000 * stop['step_seconds']:.0f} ms"
        lines.append(f"  {1000 * stop['seconds']:.0f} ms: {step}   (goal: {GOALS['cancel_steps']:g} step)")
    return "\n".join(lines)


def _report(figures: dict[str, Any]) -> list[str]:
    """The lines of one transport."""
    ms = {kind: f"{1000 * seconds:7.0f} ms" for kind, seconds in figures["seconds"].items()}
    lines = [f"  bare echo           {ms['echo']}   the same pieces, {CREDIT} of them under way"]
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
    for name, p in figures["control_ms"].items():
        goal = f"   (goal: p99 under {GOALS['control_p99_ms']:g} ms)" if name != "quiet" else ""
        figure = f"p50 {p['p50']:.2f}, p99 {p['p99']:.2f} ms of {p['n']}"
        lines.append(f"  control round trip, {name.replace('_', ' ')}: {figure}{goal}")
    return lines
