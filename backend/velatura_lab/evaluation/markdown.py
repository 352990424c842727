"""Figures as a markdown table, as design notes hold them: editors down, measures across."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .figures import REFERENCES
from .tables import number, spread, usual


def write(found: Mapping, command: str, names: Sequence[str] = ()) -> str:
    """The table, with the command that made it above and what follows from it below.

    names: measures; those that the figures name as their columns, or all, where empty.
    """
    return "\n".join(_lines(found, command, names or found.get("columns") or list(found["measures"]))) + "\n"


def _lines(found: Mapping, command: str, names: Sequence[str]) -> Iterator[str]:
    measures, editors, rows = found["measures"], found["editors"], found["figures"]
    names = [name for name in names if any(name in row for row in rows.values())]
    read = ", ".join(dict.fromkeys(found["encoders"].values()))
    model = f"{found['model']['id']} {found['model']['digest'].split(':')[-1][:12]}"
    yield f"`{command}`:"
    yield ""
    yield (
        f"{len(found['cases'])} cases ({', '.join(found['kinds'])}), seed {found['options']['seed']}, "
        f"model {model}{read and f'; read by {read}'}. Means with intervals of 95 %, and n where "
        "values are fewer than elsewhere or give no interval."
    )
    yield ""
    most = usual(rows)
    yield "| | " + " | ".join(_head(measures[name]) for name in names) + " |"
    yield "|---|" + "---|" * len(names)
    for id, row in rows.items():
        if row:
            title = REFERENCES.get(id) or editors[id]["title"]
            cells = (_cell(row.get(name), measures[name], most) for name in names)
            yield f"| {_plain(title)} | " + " | ".join(cells) + " |"
    yield from _types(found)
    for sentence in found.get("conclusions", ()):
        yield ""
        yield sentence


def _types(found: Mapping) -> Iterator[str]:
    """The measure that is told by type of case, for studies that have few rows."""
    told = found["told"]
    if not found["types"] or len(found["editors"]) > 8 or told["measure"] not in found["measures"]:
        return
    measure = found["measures"][told["measure"]]
    yield ""
    yield f"{_head(measure)} by {told['types']}:"
    yield ""
    yield "| | " + " | ".join(_plain(editor["title"]) for editor in found["editors"].values()) + " |"
    yield "|---|" + "---|" * len(found["editors"])
    for type, row in found["types"].items():
        cells = (_cell(row.get(id), measure) for id in found["editors"])
        yield f"| {_plain(type)} | " + " | ".join(cells) + " |"


def _head(measure: Mapping) -> str:
    unit = f", {measure['unit']}" if measure["unit"] else ""
    return _plain(f"{measure['title']}{unit}")


def _cell(estimate: Mapping | None, measure: Mapping, most: int = 0) -> str:
    if estimate is None:
        return ""
    return f"{number(estimate['mean'], measure)} ({spread(estimate, measure, most)})"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
