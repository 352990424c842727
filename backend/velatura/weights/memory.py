"""The memory that a device has free, and its release."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

_CGROUP = Path("/sys/fs/cgroup")  # of a container: its bound holds although the machine has more


def free(device: torch.device | str) -> int | None:
    """The bytes that new tensors on a device can have; None where the system does not say.

    On a GPU the driver's free memory and what torch has reserved and does not use. On a processor the
    system's available memory.
    """
    device = torch.device(device)
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "xpu":
        unused = torch.xpu.memory_reserved(device) - torch.xpu.memory_allocated(device)
        return torch.xpu.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return available()


def available() -> int | None:
    """The bytes of the machine's memory, or of this container's, that programs can still have; None where
    the system does not say."""
    there = _of_windows() if sys.platform == "win32" else _of_unix()
    with suppress(OSError, ValueError):  # "max": no bound
        bound = int((_CGROUP / "memory.max").read_text())
        left = bound - int((_CGROUP / "memory.current").read_text()) + _reclaimable()
        there = left if there is None else min(there, left)
    return there


def swap() -> int | None:
    """The bytes that programs can have beyond `available`, on the disk; None where the system does not say,
    as on macOS, which makes room as it is needed."""
    if sys.platform == "win32":
        status = _status_of_windows()
        return None if status is None else max(0, int(status.free_pages) - int(status.available))
    there = _meminfo("SwapFree")
    with suppress(OSError, ValueError):  # "max": no bound
        bound = int((_CGROUP / "memory.swap.max").read_text())
        left = bound - int((_CGROUP / "memory.swap.current").read_text())
        there = left if there is None else min(there, left)
    return there


def _reclaimable() -> int:
    """Bytes of a container's file cache, which count as used but are given back on demand."""
    for line in (_CGROUP / "memory.stat").read_text().splitlines():
        if line.startswith("inactive_file "):
            return int(line.split()[1])
    return 0


def _of_unix() -> int | None:
    there = _meminfo("MemAvailable")
    if there is not None:
        return there
    with suppress(OSError, ValueError, AttributeError):  # macOS: all memory, since it compresses and swaps
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _meminfo(name: str) -> int | None:
    """An entry of Linux's table of memory in bytes; None on other systems."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


class _Status(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_ = [
        ("dwLength", ctypes.c_uint32),
        ("dwMemoryLoad", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in ("total", "available", "pages", "free_pages", "c", "d", "e")),
    ]


def _of_windows() -> int | None:
    status = _status_of_windows()
    return None if status is None else int(status.available)


def _status_of_windows() -> _Status | None:
    status = _Status()
    status.dwLength = ctypes.sizeof(status)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - there on Windows only
    return status if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def give_back(device: torch.device | str) -> None:
    """Returns freed memory to the device and to the system."""
    gc.collect()
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.empty_cache()
    elif kind == "xpu":
        torch.xpu.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()
    if sys.platform == "linux":  # glibc does not do it by itself
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
