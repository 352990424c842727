"""Figures as a markdown table for design notes: editors down, measures across."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .figures import REFERENCES
from .records import Figures, Interval, MeasureRecord
from .tables import number, spread, usual


def write(figures: Figures, command: str, names: Sequence[str] = ()) -> str:
    """The table, below the command that made it and above the conclusions.

    Args:
        figures: of the run.
        command: the command line.
        names: ids of measures; where empty, the figures' own columns, or all measures.
    """
    return (
        "\n".join(_lines(figures, command, names or figures.get("columns") or list(figures["measures"])))
        + "\n"
    )


def _lines(figures: Figures, command: str, names: Sequence[str]) -> Iterator[str]:
    measures, editors, rows = figures["measures"], figures["editors"], figures["figures"]
    names = [name for name in names if any(name in row for row in rows.values())]
    read = ", ".join(dict.fromkeys(figures["encoders"].values()))
    model = f"{figures['model']['id']} {figures['model']['digest'].split(':')[-1][:12]}"
    yield f"`{command}`:"
    yield ""
    yield (
        f"{len(figures['cases'])} cases ({', '.join(figures['kinds'])}), seed {figures['options']['seed']}, "
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
    yield from _types(figures)
    for sentence in figures.get("conclusions", ()):
        yield ""
        yield sentence


def _types(figures: Figures) -> Iterator[str]:
    """The table of a measure by type of case, for studies with few rows."""
    by_type = figures["by_type"]
    if not figures["types"] or len(figures["editors"]) > 8 or by_type["measure"] not in figures["measures"]:
        return
    measure = figures["measures"][by_type["measure"]]
    yield ""
    yield f"{_head(measure)} by {by_type['types']}:"
    yield ""
    yield "| | " + " | ".join(_plain(editor["title"]) for editor in figures["editors"].values()) + " |"
    yield "|---|" + "---|" * len(figures["editors"])
    for type, row in figures["types"].items():
        cells = (_cell(row.get(id), measure) for id in figures["editors"])
        yield f"| {_plain(type)} | " + " | ".join(cells) + " |"


def _head(measure: MeasureRecord) -> str:
    unit = f", {measure['unit']}" if measure["unit"] else ""
    return _plain(f"{measure['title']}{unit}")


def _cell(estimate: Interval | None, measure: MeasureRecord, most: int = 0) -> str:
    if estimate is None:
        return ""
    return f"{number(estimate['mean'], measure)} ({spread(estimate, measure, most)})"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
