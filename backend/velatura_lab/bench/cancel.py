"""How long a running edit takes to stop."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest

EDIT_S = 300.0


def cancel(state_dir: Path) -> dict:
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
