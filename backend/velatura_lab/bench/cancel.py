"""Measures the time that a running edit takes to stop."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Edit, blobs

EDIT_S = 300.0
SIDE = 256
LONG = Edit("sdedit", prompt="a portrait", seed=0, variations=4, parameters={"steps": 150, "strength": 1.0})


def cancel(state_dir: Path) -> dict[str, Any]:
    """The time that a running edit takes to stop, in seconds and in its own steps; `not_measured` has the
    reason where there is none."""
    client = Client(state_dir, name="bench", dealer=PyzmqDealer)
    client.connect()
    grey, place = bytes([128, 128, 128, 255]) * (SIDE * SIDE), (0, 0, SIDE, SIDE)
    inputs, job = {"source": Pixels(grey, place, "RGBA", "u8", "sRGB"), "mask": None}, str(uuid.uuid4())
    request = LONG.on(inputs, (SIDE, SIDE))
    steps: list[tuple[int, float]] = []  # some of the steps, each with the time of its event
    began: float | None = None
    try:
        client.submit(job, dict(request.to_wire()), blobs(inputs))
        deadline = time.monotonic() + EDIT_S
        while time.monotonic() < deadline:
            for event, _ in client.events(0.05):
                if event["type"] == "progress" and event["step"]:
                    steps.append((event["step"], time.perf_counter()))
                if event["type"] == "job" and event["state"] == "cancelled":
                    if began is None:
                        return {"not_measured": "another client cancelled the edit"}
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


def _cancel_figures(seconds: float, steps: list[tuple[int, float]]) -> dict[str, Any]:
    (first, began), (last, ended) = steps[0], steps[-1]
    step = (ended - began) / (last - first)
    return {"seconds": round(seconds, 4), "step_seconds": round(step, 4), "steps": round(seconds / step, 2)}
