"""SQLite's write-ahead log, mended where a few bits of it have changed.

SQLite drops the log from the first wrong checksum on, because it cannot tell damage from a commit that a
power cut broke off. Here a frame that later commits stand upon was synced, so it is kept, with its checksum
made anew. The format: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import struct
import sys
from collections import Counter
from pathlib import Path

PAGE = 4096  # of every journal
_HEADER, _FRAME = 32, 24 + PAGE
_MAGIC = 0x377F0682 if sys.byteorder == "little" else 0x377F0683
_VERSION = 3007000
_BEGIN = (0, 0)

Sums = tuple[int, int]


def mended(path: Path) -> bytes | None:
    """The log at `path` with its damage mended; None where nothing is to be mended. Raises OSError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    frames = [data[at : at + _FRAME] for at in range(_HEADER, len(data) - _FRAME + 1, _FRAME)]
    if not frames:
        return None
    salts = _salts(data, frames)
    frames = frames[: _run(frames, salts)]
    head = struct.pack(">4I", _MAGIC, _VERSION, PAGE, int.from_bytes(data[12:16], "big")) + salts
    is_head_sound = head + struct.pack(">2I", *_sums(_BEGIN, head)) == data[:_HEADER]
    stored = [struct.unpack(">2I", frame[16:24]) for frame in frames]
    before = [struct.unpack(">2I", data[24:32]), *stored]
    sound = [
        _sums(known, frame) == own and frame[8:16] == salts  # the checksum leaves the salts out
        for known, frame, own in zip(before, frames, stored, strict=False)
    ]
    if is_head_sound and all(sound):
        return None
    # the first frame after a commit shows that the commit was synced
    synced = [i for i in range(len(frames) - 1) if _commits(frames[i]) and sound[i + 1]]
    first = sound.index(False) if is_head_sound else -1
    if is_head_sound and not any(i >= first for i in synced):
        return None  # the last commit was broken off, and acknowledged to nobody
    ends = [i for i, frame in enumerate(frames) if _commits(frame) and (sound[i] or i in synced)]
    return _chained(head, frames[: ends[-1] + 1]) if ends else None


def _salts(data: bytes, frames: list[bytes]) -> bytes:
    """The salts of this log: most of its header and first frames agree."""
    seen = Counter([data[16:24], *(frame[8:16] for frame in frames[:2])])
    return seen.most_common(1)[0][0]


def _run(frames: list[bytes], salts: bytes) -> int:
    """The number of frames of this log; older ones may lie behind them. One with damaged salts may be among
    them."""
    for i, frame in enumerate(frames):
        if frame[8:16] != salts and (i + 1 == len(frames) or frames[i + 1][8:16] != salts):
            return i
    return len(frames)


def _commits(frame: bytes) -> bool:
    return frame[4:8] != bytes(4)


def _sums(before: Sums, piece: bytes) -> Sums:
    """The checksum after a header (its first 24 bytes) or a frame."""
    summed = piece if len(piece) == 24 else piece[:8] + piece[24:]
    first, second = before
    words = struct.unpack(f"={len(summed) // 4}I", summed)
    for i in range(0, len(words), 2):
        first = (first + words[i] + second) & 0xFFFFFFFF
        second = (second + words[i + 1] + first) & 0xFFFFFFFF
    return first, second


def _chained(head: bytes, frames: list[bytes]) -> bytes:
    sums = _sums(_BEGIN, head)
    made = [head, struct.pack(">2I", *sums)]
    for frame in frames:
        whole = frame[:8] + head[16:24] + frame[16:]
        sums = _sums(sums, whole)
        made += [whole[:16], struct.pack(">2I", *sums), whole[24:]]
    return b"".join(made)
