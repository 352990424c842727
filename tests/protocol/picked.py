"""Candidates as a daemon sends them, for tests."""

from velatura_protocol.candidates import Candidate

JOB = "1f0a3a52-7d0c-4f8b-9a52-0d6a3f1f2b12"


def layer(index: int, score: float | None = None, rank: int | None = None, side: int = 2) -> dict:
    raster = {
        "digest": "blake2b:" + f"{index:064x}",
        "width": side,
        "height": side,
        "channels": "RGBA",
        "dtype": "u8",
        "profile": "sRGB",
        "rect": [3, 4, side, side],
    }
    made = {"index": index, "title": f"Variation {index + 1}", "seed": 40 + index, "raster": raster}
    made["recipe"] = {"velatura": 1, "prompt": "a hat", "variation": index}
    return made | ({} if score is None else {"score": score}) | ({} if rank is None else {"rank": rank})


def candidate(index: int, score: float | None = None, rank: int | None = None, job: str = JOB) -> Candidate:
    made = Candidate.from_wire(job, layer(index, score, rank))
    assert made is not None
    return made
