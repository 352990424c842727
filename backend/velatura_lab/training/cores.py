"""Work on all cores."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

Job = TypeVar("Job")
Result = TypeVar("Result")


def by_cores(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int, title: str
) -> Iterator[Result]:
    """The results of jobs in the order in which they end, with a progress bar.

    Args:
        work: A module's function, which new processes can import.
        jobs: Its arguments, one for each call.
        processes: Number of processes; 1 works in this process.
        title: The title of the progress bar.
    """

    def bar(results: Iterator[Result]) -> Iterator[Result]:
        return iter(tqdm(results, title, len(jobs), unit="chunk", mininterval=2.0))

    if processes == 1:
        yield from bar(map(work, jobs))
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from bar(pool.imap_unordered(work, jobs))
