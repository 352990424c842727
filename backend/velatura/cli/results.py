"""What `velatura edit` prints: the texts of a job, or what was made of its layers."""

from __future__ import annotations

import json
from pathlib import Path

from velatura.cli import exits
from velatura_protocol.kinds import RESULTS
from velatura_protocol.results import texts


def tell(job: dict, *, as_json: bool) -> None:
    """Print the texts of a job alone, one a line and the likeliest first, so that a script can take them."""
    result = job["result"]
    said = texts(result)
    if as_json:
        whole = {"ok": True, "exit": exits.OK, "job": job["job"], "seconds": result["seconds"], "texts": said}
        print(json.dumps(whole))
    else:
        print("\n".join(said))


def report(job: dict, results: list[dict], files: list[Path], compare: Path | None, *, as_json: bool) -> None:
    """Say what was made. results: the layers as they came, the best first."""
    seconds, note = job["result"]["seconds"], job["result"].get("note", "")
    if as_json:
        found = [
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
                    "layers": found,
                    "note": note,
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
    if note:
        print(note)
