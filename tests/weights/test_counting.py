"""Memory is counted on meta tensors, before anything is computed."""

import torch
from torch import nn

from velatura.weights.counting import counted

KiB = 1024


def test_each_allocation_counts_while_it_is_held():
    def two_at_a_time():
        a = torch.empty(256)  # 1 KiB
        b = a + 1.0
        del a
        c = b.view(16, 16)  # no memory of its own
        del b
        return c * 2.0

    assert counted(two_at_a_time) == 2 * KiB
    assert counted(lambda: [torch.empty(256) for _ in range(5)]) == 5 * KiB


def test_weights_do_not_count_and_nothing_is_computed():
    calls = []
    network = nn.Sequential(nn.Linear(256, 1024), nn.Linear(1024, 256))
    network[0].register_forward_hook(lambda *_: calls.append(1))
    x = torch.zeros(1, 256)
    assert counted(lambda: network(x)) == 1024 * 4 + 256 * 4
    assert calls == [1]
    huge = nn.Linear(16, 2**20, bias=False, dtype=torch.float16)
    assert counted(lambda: huge(torch.empty(2**12, 16, dtype=torch.float16))) > 2**33  # 8 GiB, at no cost


def test_it_grows_with_the_batch_and_the_size():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 3, 3, padding=1))

    def of(n, side):
        return counted(lambda: network(torch.empty(n, 3, side, side)))

    assert of(4, 16) == 4 * of(1, 16) == of(1, 32)
