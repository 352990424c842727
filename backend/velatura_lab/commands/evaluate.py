"""`velatura evaluate`: measures how well the methods edit, in figures and pictures."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from velatura.cli import exits
from velatura.files.atomic import replacing
from velatura.models import catalogue
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir

if TYPE_CHECKING:
    from velatura_lab.evaluation.records import Figures
    from velatura_lab.evaluation.session import Options
    from velatura_lab.evaluation.study import Prepare

SUMMARY = "measure how well the methods edit"
OUT = Path("velatura-evaluation")

ABOUT = """\
measure how well the methods edit

Every method edits the same pictures, whose exact results are known: Velatura draws the scenes itself, and no
training step of the embedded model saw them. Two naive baselines edit them too: the same seed with the new
prompt, and noising and denoising the whole picture. Velatura's own networks (the judge and others) read the
results, so the figures compare methods and versions here, not with papers.

The folder of --out gets report.html (tables, plots and pictures in one self-contained file), figures.json
(for --compare), and work/ (one file for each result: an interrupted run resumes, and other --pairs or
--methods make only the new edits). Delete work/ when you are done.

With --dataset the methods edit PIE-Bench's pictures instead, as published (mapping_file.json and
annotation_images/), without its masks, as the published methods do (--masks gives them), and the metrics are
its own, with its quirks. That needs a Stable Diffusion model (`velatura models add`), and published networks
for some of the metrics: CLIP ViT-L/14 and DINO ViT-B/8, from the hub or from folders of those names in
VELATURA_ENCODERS (clip-vit-large-patch14, dino-vitb8), and the package lpips. Metrics whose network is
missing are left out, and the report says so.

examples:
  velatura evaluate                                      all methods on the embedded model (hours)
  velatura evaluate --smoke                              a few pairs; fails if editing is broken (minutes)
  velatura evaluate --methods sdedit --pairs 8 --seeds 1
  velatura evaluate --methods sdedit --measures ranking-auc,best-precision --no-baselines
                                                         how well variations are ranked, and nothing else
  velatura evaluate --study words --pairs 8 --table words.md
                                                         the settings of Prompt-to-Prompt, side by side
  velatura evaluate --study selections --pairs 8         how well masks fit the things that words name
  velatura evaluate --study sliders --pairs 2            the effects of the weights of words
  velatura evaluate --study faces --table faces.md       a beard or glasses for 50 persons each, five ways
  velatura evaluate --out new --compare old/figures.json
  velatura evaluate --dataset PIE-Bench_v1 --model sd15 --device cuda:0
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.description = ABOUT
    parser.add_argument("--model", default="", metavar="NAME", help="see `velatura models`; the embedded one")
    parser.add_argument("--methods", default="", metavar="A,B", help="methods to measure; all")
    parser.add_argument(
        "--kinds", default="", metavar="A,B", help="kinds of scene (of a dataset: of edit); all of them"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="k=v",
        dest="assignments",
        help="a parameter of the methods that have one of this name, as JSON or a text; in a list, "
        "a picture may be any text, and is then taken from the edit",
    )
    parser.add_argument(
        "--measures",
        default="",
        metavar="A,B",
        help="measures, such as success,leakage; all. Edits that they do not need are left out: no editing "
        "back, no timing, and no --people unless given",
    )
    parser.add_argument(
        "--no-baselines", dest="baselines", action="store_false", help="leave the baselines out"
    )
    parser.add_argument("--pairs", type=_count, metavar="N", help="edits of each kind; 16 (dataset: all)")
    parser.add_argument("--seeds", type=_count, metavar="N", help="variations of each edit; 4 (dataset: 1)")
    parser.add_argument(
        "--people",
        type=_whole,
        metavar="N",
        help="people who get a beard, and as many who get glasses, to count acceptable edits; 50",
    )
    parser.add_argument("--seed", type=_whole, default=7, metavar="N", help="seed of the drawn pairs; 7")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"where to write; {OUT}")
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="a PIE-Bench folder")
    parser.add_argument(
        "--masks",
        action="store_true",
        help="give the dataset's masks also to methods that do not require one; such rows say so and do not "
        "stand beside published figures",
    )
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="figures.json of an earlier run")
    parser.add_argument(
        "--study",
        choices=[
            "words",
            "selections",
            "sliders",
            "dials",
            "together",
            "flow",
            "faces",
            "joins",
            "thin",
            "precision",
        ],
        help="words: Prompt-to-Prompt with many settings, without a selection; sliders: the weights of its "
        "words, dials: shares of a dial (--pairs: pictures of each word, 2), together: two dials at once "
        "(--pairs: pictures of each two words, 1); --methods then names settings. "
        "selections: methods that find masks. flow: the settings of editing by two captions. "
        "faces: StyleCLIP's three ways, Prompt-to-Prompt and SEGA on persons who get a beard or glasses "
        "(--pairs: persons for each, 50). "
        "joins, thin, precision: Blended Latent Diffusion's ways to "
        "join an edit to the layer, its shrinking on thin selections, and its tables",
    )
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="also write the figures there, as a markdown table"
    )
    parser.add_argument("--smoke", action="store_true", help="a few pairs; exit code 4 if editing is broken")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda:0", help="the device of the edits")
    parser.add_argument("--json", action="store_true", help="print the files' places and the figures as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measures, writes the report and prints a summary."""
    from velatura_lab.evaluation import compare, markdown, session, smoke, study  # they import torch
    from velatura_lab.evaluation.report import write_report

    if options.smoke and (options.measures or not options.baselines):
        raise VelaturaError("bad-request", "--smoke has its own measures and needs the baselines.")
    if options.smoke and options.dataset:
        raise VelaturaError("bad-request", "--smoke has its own pairs; leave --dataset out.")
    if options.masks and not options.dataset:
        raise VelaturaError("bad-request", "--masks is for --dataset; methods always get the world's.")
    if options.study and (options.dataset or options.smoke):
        raise VelaturaError("bad-request", "--study takes neither --dataset nor --smoke.")
    prepare: Prepare = study.STUDIES[options.study] if options.study else session.prepare
    before = session.read_json(options.compare) if options.compare else None
    folder = state_dir(options.state_dir)
    entry = _entry(folder, options.model or catalogue.EMBEDDED_ID)
    models = session.store(entry, options.device)
    quick = session.SMOKE_DEFAULTS if options.smoke else {}
    defaults = {**entry.defaults, **quick, **dict(options.assignments)}
    prepared = prepare(_wanted(options, entry.id), models, defaults=defaults)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        figures = session.evaluate(prepared, models, options.out / "work")
    except KeyboardInterrupt:
        message = "Interrupted; run the same command again to resume."
        raise VelaturaError("cancelled", message) from None
    changes = compare.changes(before, figures) if before else []
    left_out = compare.left_out(before, figures) if before else []
    session.write_json(figures, options.out / "figures.json")
    earlier = f"{options.compare} of {before['made']}" if before else ""
    write_report(prepared, options.out / "report.html", changes, earlier, left_out)
    if options.table:
        with replacing(options.table) as stream:
            stream.write(markdown.write(figures, _command(options)).encode())
    methods = [editor.id for editor in prepared.editors if not editor.baseline]
    wrong = smoke.problems(figures, methods) if options.smoke else []
    compared = [*left_out, *compare.summary(changes, figures)] if before else []
    _report(options, figures, compared, wrong)
    return exits.FAILED if wrong else exits.OK


def _wanted(options: argparse.Namespace, model: str) -> Options:
    from velatura_lab.evaluation.editors import quick_methods
    from velatura_lab.evaluation.session import SMOKE, Options

    base = Options() if options.dataset is None else Options(pairs=None, seeds=1, survey=0)
    base = replace(SMOKE, methods=quick_methods()) if options.smoke else base
    if options.study:
        pairs = {"sliders": 2, "dials": 2, "together": 1, "faces": 50}.get(options.study, base.pairs)
        base = replace(base, pairs=pairs, seeds=1, survey=0, timed=False)
    if measures := _names(options.measures):
        base = replace(base, measures=measures, survey=0, timed=False)
    given = {"pairs": options.pairs, "seeds": options.seeds, "survey": options.people}
    return replace(
        base,
        model=model,
        methods=_names(options.methods) or base.methods,
        kinds=_names(options.kinds) or base.kinds,
        seed=options.seed,
        baselines=options.baselines,
        dataset=options.dataset,
        masked=options.masks,
        quiet=not sys.stderr.isatty(),
        **{name: value for name, value in given.items() if value is not None},
    )


def _command(options: argparse.Namespace) -> str:
    """The command line that makes the same figures."""
    names = ("study", "dataset", "model", "methods", "kinds", "measures", "pairs", "seeds", "people", "seed")
    given = {name: getattr(options, name) for name in names}
    given["device"] = "" if options.device == "auto" else options.device
    words = [
        f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value not in (None, "")
    ]
    for key, value in options.assignments:
        text = value if isinstance(value, str) else json.dumps(value)
        words.append(f"--set {shlex.quote(f'{key}={text}')}")
    flags = {"--smoke": options.smoke, "--masks": options.masks, "--no-baselines": not options.baselines}
    return " ".join(["velatura evaluate", *words, *(flag for flag, on in flags.items() if on)])


def _entry(folder: Path, name: str) -> catalogue.ModelEntry:
    known = catalogue.entries(folder)
    for entry in known:
        if entry.id == name:
            return entry
    names = ", ".join(entry.id for entry in known)
    raise VelaturaError("unknown-model", f"There is no model {name!r}; there are: {names}.")


def _report(options: argparse.Namespace, figures: Figures, changed: list[str], wrong: list[str]) -> None:
    if options.json:
        places = {"report": str(options.out / "report.html"), "figures": str(options.out / "figures.json")}
        print(
            json.dumps({"ok": not wrong, "problems": wrong, "changes": changed} | places | {"found": figures})
        )
        return
    for sentence in (*figures["missing"], *changed, *wrong):
        print(sentence)
    known = figures.get("columns") or list(figures["measures"])
    names = [name for name in ("success", "leakage") if name in known] or known[:2]
    for id, editor in figures["editors"].items():
        row = figures["figures"].get(id, {})
        shown = [
            f"{figures['measures'][name]['title'].lower()} {row[name]['mean']:.2f}"
            for name in names
            if name in row
        ]
        print(f"{editor['title']:40} {', '.join(shown)}")
    for sentence in figures["conclusions"]:
        print(f"\n{sentence}")
    print(f"\n{options.out / 'report.html'}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _setting(text: str) -> tuple[str, object]:
    """The key and value of "key=value"; the value is read as JSON where it is valid JSON."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _count(text: str) -> int:
    value = _whole(text)
    if value == 0:
        raise ValueError
    return value
