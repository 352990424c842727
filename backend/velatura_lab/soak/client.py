"""A client of a campaign, in a process of its own that may be killed: `python -m velatura_lab.soak.client`.

It submits jobs, cancels some, fetches and acknowledges every result, and keeps a ledger. Its connections
break now and then in the middle of a message, or take a moment.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from velatura_lab.soak.ledger import Ledger, is_to_be_cancelled, job_id, pixels, request, result_of
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.upkeep import FINAL
from velatura_protocol.zmtp import Dealer

WINDOW = 4  # jobs under way
PASSING = {"not-running", "timeout", "no-session", "wrong-token"}
"""Errors that a client meets by trying again, besides those that say so themselves."""
DAMAGED = {"unknown-blob", "blob-corrupt"}
BREAKS, WAITS = 0.004, 0.01  # of all writes


class Shaky(Dealer):
    """A connection that breaks in the middle of a write now and then, by chance."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def _write(self) -> int:
        lot = self._chance.random()
        if lot < BREAKS and self._socket is not None:
            half = self._outbox[0][: max(1, self._outbox[0].nbytes // 2)]
            with suppress(OSError):
                self._socket.send(half)
            raise ConnectionResetError("broken on purpose")
        if lot < BREAKS + WAITS:
            time.sleep(self._chance.uniform(0.0, 0.05))
        return super()._write()


def passes(error: VelaturaError) -> bool:
    """Whether the same request is right a moment later."""
    return error.retryable or error.code in PASSING


class Worker:
    """The work of a client.

    Args:
        client: the connection.
        ledger: its ledger.
        seed: of the campaign.
        numbers: of the next job.
        is_over: whether no further job begins.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        seed: int,
        numbers: Callable[[int], int],
        is_over: Callable[[], bool],
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._seed = seed
        self._numbers = numbers
        self._is_over = is_over

    def run(self) -> None:
        """Returns once no further job begins and each has ended."""
        for job, entry in self._ledger.entries.items():
            if not entry.acknowledged and not entry.problem:
                self._submit(job, entry.number)
        while True:
            under_way = self._ledger.open_jobs()
            if len(under_way) < WINDOW and not self._is_over():
                number = self._numbers(len(self._ledger.entries))
                job = job_id(self._seed, number)
                self._ledger.note("meant", job, number=number)
                self._submit(job, number)
            elif under_way:
                self._finish(under_way[0])
            else:
                return

    def _submit(self, job: str, number: int) -> None:
        data = pixels(self._seed, number)
        blobs = {digest(data): data}
        state = self._persist("refused", job, lambda: self._client.submit(job, request(data, number), blobs))
        if state is None:
            return None
        if state["state"] == "uploading":
            return self._submit(job, number)
        self._ledger.note("acknowledged", job)
        self._see(state)
        if is_to_be_cancelled(number):
            self._persist("unknown", job, lambda: self._client.cancel(job))
        return None

    def _finish(self, job: str) -> None:
        state = self._persist("unknown", job, lambda: self._client.wait(job, on_event=self._heard))
        if state is None:
            return
        self._see(state)
        name = result_of(state)
        if name:
            try:
                data = self._client.fetch(name)
            except VelaturaError as error:
                if not passes(error) and error.code not in DAMAGED:
                    self._ledger.note("unknown", job, code=error.code)
                time.sleep(0.1)
                return  # another look: a damaged result is made again
            self._ledger.note("fetched", job, result=digest(data))
        if self._persist("unknown", job, lambda: self._client.ack(job)) is not None:
            self._ledger.note("done with", job)

    def _heard(self, event: dict[str, Any], _payload: object) -> None:
        if event["type"] == "job":
            self._see(event)

    def _see(self, state: dict[str, Any]) -> None:
        if state["state"] in FINAL:
            code = (state.get("error") or {}).get("code", "")
            end = f"{state['state']} {code}".strip()
            self._ledger.note("ended", state["job"], state=end, result=result_of(state))

    def _persist(self, kind: str, job: str, call: Callable[[], Any]) -> Any:
        """The answer, however long that takes; None, and a line, for an error that does not pass."""
        while True:
            try:
                return call()
            except VelaturaError as error:
                if not passes(error):
                    self._ledger.note(kind, job, code=f"{error.code}: {error.detail or error.message}"[:300])
                    return None
            time.sleep(0.1)


def main() -> None:
    """Works until the file `over` lies beside the ledger and every job has ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("state_dir", type=Path)
    for name in ("seed", "client", "clients", "life"):
        parser.add_argument(name, type=int)
    options = parser.parse_args()
    chance = random.Random(f"{options.seed} {options.client} {options.life}")
    ledger = Ledger(options.folder / f"ledger-{options.client}")
    with suppress(KeyboardInterrupt):
        Worker(
            Client(options.state_dir, name=f"soak {options.client}", dealer=partial(Shaky, chance)),
            ledger,
            options.seed,
            lambda made: made * options.clients + options.client,
            (options.folder / "over").exists,
        ).run()


if __name__ == "__main__":
    main()
