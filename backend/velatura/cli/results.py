"""Prints the outcome of `velatura edit`: the texts of a job, or the files of its layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from velatura.cli import exits
from velatura_protocol.kinds import RESULTS
from velatura_protocol.results import texts


def print_texts(job: dict[str, Any], *, as_json: bool) -> None:
    """Print only a job's texts, one a line and the most likely first, so that scripts can read them."""
    result = job["result"]
    lines = texts(result)
    if as_json:
        head = {"ok": True, "exit": exits.OK, "job": job["job"], "seconds": result["seconds"]}
        print(json.dumps({**head, "texts": lines}))
    else:
        print("\n".join(lines))


def print_files(
    job: dict[str, Any],
    results: list[dict[str, Any]],
    files: list[Path],
    compare: Path | None,
    losses: str = "",
    *,
    as_json: bool,
) -> None:
    """Print a summary of a job's layers.

    Args:
        job: the job, as the daemon sends it.
        results: its layers, the best first.
        files: the files that hold them.
        compare: the file of the comparison, or None.
        losses: a sentence about what the files' format loses, or ''.
        as_json: whether to print one JSON object.
    """
    seconds, note = job["result"]["seconds"], job["result"].get("note", "")
    if as_json:
        layers = [
            {
                "title": layer["title"],
                "rect": layer["raster"]["rect"],
                **{key: layer[key] for key in ("kind", "rank", "score", "scores", "why") if key in layer},
                "recipe": layer["recipe"],
            }
            for layer in results
        ]
        print(
            json.dumps(
                {
                    "ok": True,
                    "exit": exits.OK,
                    "out": str(files[0]),
                    "files": [str(path) for path in files],
                    "compare": str(compare) if compare else None,
                    "job": job["job"],
                    "seconds": seconds,
                    "layers": layers,
                    "note": " ".join(filter(None, (note, losses))),
                }
            )
        )
        return
    noun = RESULTS[results[0].get("kind", "layer")].noun
    count = f"1 {noun}" if len(results) == 1 else f"{len(results)} {noun}s"
    print(f"{', '.join(map(str, files))}: {job['title']}, {count} in {seconds:.1f} s.")
    for layer in results:
        if "rank" in layer:
            print(f"  {layer['title']}")
    for sentence in filter(None, (note, losses)):
        print(sentence)
