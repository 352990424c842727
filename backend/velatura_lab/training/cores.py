"""Work that is done by all cores."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

Job, Done = TypeVar("Job"), TypeVar("Done")


def by_cores(work: Callable[[Job], Done], jobs: Sequence[Job], processes: int, told: str) -> Iterator[Done]:
    """What becomes of each job, in the order in which they end, with a bar of progress.

    work: a function of a module, which new processes can import. told: what the bar says.
    """
    bar = {"desc": told, "total": len(jobs), "unit": "chunk", "mininterval": 2.0}
    if processes == 1:
        yield from tqdm(map(work, jobs), **bar)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from tqdm(pool.imap_unordered(work, jobs), **bar)
