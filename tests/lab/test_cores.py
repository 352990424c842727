"""Work by all cores: everything is done once, in this process or in several."""

import os

import pytest

from velatura_lab.training.cores import by_cores


def squared(job: int) -> tuple[int, int, int]:
    return job, job * job, os.getpid()


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_is_done_once(processes):
    done = sorted(by_cores(squared, range(7), processes, "squaring"))
    assert [(job, square) for job, square, _ in done] == [(i, i * i) for i in range(7)]
    assert (os.getpid() in {pid for *_, pid in done}) == (processes == 1)
