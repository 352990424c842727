"""The figures as sections of Markdown, for the model card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from velatura_lab.cards.card import table
from velatura_lab.exam.measure import INSIDE
from velatura_lab.world import ATTRIBUTES, KINDS, STYLES

Figure = Sequence[float | None]


def rate(figure: Figure | None) -> str:
    """A share with its 95 % interval, or with the number of values if it has none."""
    return _with_interval(figure, ".3f", ".2f")


def number(figure: Figure | None) -> str:
    """A mean with its 95 % interval, or with the number of values if it has none."""
    return _with_interval(figure, ".1f", ".1f")


def _with_interval(figure: Figure | None, form: str, ends: str) -> str:
    if figure is None:
        return ""
    value, low, high, _ = figure
    interval = f"n = {count(figure)}" if low is None else f"{low:{ends}} to {high:{ends}}"
    return f"{value:{form}} ({interval})"


def count(figure: Figure) -> int:
    """The number of values behind a figure."""
    return int(figure[3] or 0)


def words(name: str) -> str:
    """The name of an attribute in words."""
    return name.replace("_", " ")


def sections(found: Mapping[str, Any]) -> list[str]:
    """The figures of a bundle: an overview, then a section for each of its rows."""
    steps, few = found["steps"], _few(found)
    scales = ", ".join(f"{scale:g}" for scale in found["guidance"])
    edits = {kind: own["attributes"] for kind, own in found["masked_edits"].items()}
    return [
        "Shares and means with 95 % intervals: Wilson's for shares; the bootstrap over pictures for means "
        "and for shares over several outcomes of each picture; none for fewer than five or equal values. "
        f"{found['count']} full captions of each kind, {steps} Euler steps, guidance {scales} in turn. "
        "velatura-judge reads the pictures; a degree is right within a third.",
        overview(found),
        f"One sample takes {found['seconds_a_sample']:.1f} s ({steps} steps, {found['machine']}). "
        "Samples read as prompted, by guidance: "
        + ", ".join(f"{scale}: {rate(own)}" for scale, own in found["as_prompted_by_guidance"].items())
        + ".",
        "Pictures through the autoencoder, PSNR in dB by style:\n\n" + by_style(found),
        f"Attributes: read on renders, on their reconstructions, on samples with {steps} and {few} steps:\n\n"
        + attributes(found),
        "Degrees: prompts that differ in the degree's word only, with one seed. Spearman's correlation of "
        "the words with the degrees read, mean over scenes, on samples and on exact pictures:\n\n"
        + degrees(found),
        "Combinations that training never saw: the share of samples that show all of it, and the attribute "
        "with the least share:\n\n" + combinations(found),
        "Words point: share of elements whose exact mask covers at least "
        f"{INSIDE:.0%} of the strongest place of their noun's map at t = 400; elements that cover no place "
        "so far are left out:\n\n" + named(found["pointing_t400"]),
        "Masked edits: exact pairs of the world, generous masks, Blended Latent Diffusion with its defaults; "
        "share of edits whose changed attribute is read as asked:\n\n" + named(edits),
    ]


def _few(found: Mapping[str, Any]) -> int:
    return int(next(name for name in found if name.endswith("_steps")).split("_")[-2])


def overview(found: Mapping[str, Any]) -> str:
    """A table with a row for each measure and a column for each kind."""
    few = f"attributes_as_prompted_{_few(found)}_steps"
    rows = [
        ["autoencoder, dB", *(number(found["autoencoder_psnr_db"][kind]["all"]) for kind in KINDS)],
        ["read on renders", *_all(found, "judge_on_renders")],
        ["read on reconstructions", *_all(found, "judge_on_reconstructions")],
        ["samples read as prompted", *_all(found, "attributes_as_prompted")],
        [f"the same, {_few(found)} steps", *_all(found, few)],
        ["absences kept", *(rate(found["nothing_unasked"][kind]) for kind in KINDS)],
        ["words point to their things", *_all(found, "pointing_t400")],
        [
            "masked edits read as asked",
            *(rate(found["masked_edits"][kind]["attributes"]["all"]) for kind in KINDS),
        ],
    ]
    for name, others in (("any", "any kind"), ("alike", "the same kind")):
        chosen = [found["clip_right_caption"].get(kind, {}).get(name) for kind in KINDS]
        if any(chosen):
            cells = ("" if own is None else f"{rate(own['share'])} of {own['of']}" for own in chosen)
            rows.append([f"CLIP chooses the prompt among prompts of {others}", *cells])
    return table(["", *KINDS], rows)


def _all(found: Mapping[str, Any], name: str) -> list[str]:
    return [rate(found[name][kind]["all"]) for kind in KINDS]


def by_style(found: Mapping[str, Any]) -> str:
    """A table with a row for each kind and a column for each style."""
    names = ("all", *STYLES)
    rows = [
        [kind, *(number(own.get(name)) for name in names)]
        for kind, own in found["autoencoder_psnr_db"].items()
    ]
    return table(["kind", *names], rows)


def attributes(found: Mapping[str, Any]) -> str:
    """A table with a row for each attribute; n is the number of samples whose prompt words it."""
    few = f"attributes_as_prompted_{_few(found)}_steps"
    rows: list[list[Any]] = []
    for kind in KINDS:
        renders, rebuilt, samples, fast = (
            found[name][kind]
            for name in ("judge_on_renders", "judge_on_reconstructions", "attributes_as_prompted", few)
        )
        for name in ATTRIBUTES[kind]:
            own = samples.get(name)
            plain = [figure[0] if (figure := part.get(name)) else None for part in (renders, rebuilt, fast)]
            rows.append(
                [kind, words(name), *plain[:2], rate(own), "" if own is None else count(own), plain[2]]
            )
    return table(
        ["kind", "attribute", "renders", "rebuilt", "samples", "n", f"{_few(found)} steps"],
        rows,
    )


def degrees(found: Mapping[str, Any]) -> str:
    """A table with a row for each degree."""
    rows = [
        [
            kind,
            words(name),
            ", ".join(ATTRIBUTES[kind][name].degree),
            rate(own["samples"]),
            count(own["samples"]),
            own["renders"][0],
        ]
        for kind, figures in found["graded_words"].items()
        for name, own in figures.items()
    ]
    return table(["kind", "degree", "words", "samples", "n", "exact pictures"], rows)


def combinations(found: Mapping[str, Any]) -> str:
    """A table with a row for each held-out combination."""
    rows: list[list[Any]] = []
    for kind, figures in found["new_combinations"].items():
        for title, own in figures.items():
            least = min((name for name in own if name != "all"), key=lambda name: own[name][0])
            part = f"{words(least)} {own[least][0]:.2f}"
            rows.append([kind, title, rate(own["all"]), count(own["all"]), part])
    return table(["kind", "combination", "all of it", "n", "least"], rows)


def named(found: Mapping[str, Mapping[str, Figure]]) -> str:
    """A table of kind -> name -> figure, with a row for each figure."""
    rows = [
        [kind, words(name), rate(figure), count(figure)]
        for kind, figures in found.items()
        for name, figure in figures.items()
    ]
    return table(["kind", "", "share", "n"], rows)
