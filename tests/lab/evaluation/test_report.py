"""The report stands alone, the JSON is plain, and two versions can be told apart."""

import json
import re
from copy import deepcopy
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from velatura_lab.evaluation import compare, markdown, report, session, tables, weights
from velatura_lab.evaluation.editors import Edited
from velatura_lab.evaluation.measures import MEASURES
from velatura_lab.evaluation.session import Options, Session
from velatura_protocol.errors import VelaturaError

from .test_runs import Counting

VOID = {"meta", "img", "br", "circle", "path", "polygon", "rect", "input"}


class Exact(Counting):
    """Gives the exact target, with some noise."""

    def edit(self, case, seeds):
        rng = np.random.default_rng(seeds[0])
        noise = rng.integers(-3, 4, (len(seeds), *case.source.shape))
        return Edited((case.target + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def made(models, cases, encoders, tmp_path_factory):
    """A finished evaluation of two editors whose results are known."""
    found = [Exact(id="exact", title="Exact & <noisy>"), Counting(id="idle", title="Idle", baseline=True)]
    options = Options(pairs=3, seeds=2, survey=2, quiet=True)
    people = {"person with beard": cases[:2]}
    done = Session(options, list(cases), people, found, encoders, MEASURES)
    session.evaluate(done, models, tmp_path_factory.mktemp("work"))
    return done


class Page(HTMLParser):
    """Open tags, text, and what is loaded from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.images, self.words = [], [], 0, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.images += tag == "img"
        found = [attributes[key] for key in ("src", "href") if key in attributes]
        self.links += [link for link in found if not link.startswith("data:image/png;base64,")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_whole_and_needs_nothing_else(made, tmp_path):
    path = tmp_path / "report.html"
    report.write_report(made, path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and page.links == []
    assert "@import" not in text and "url(" not in text and "<script" not in text
    assert page.images >= len(made.cases) * 5
    said = " ".join(page.words)
    assert "Exact & <noisy>" in said
    for measure in made.figures["measures"].values():
        assert measure["title"] in said and measure["definition"] in said
    assert not re.search(r"\bnan\b|\binf\b|None", said)


def test_a_figure_without_an_interval_says_of_how_many_edits_it_is(made, tmp_path):
    leakage = made.figures["figures"]["exact"]["leakage"]
    assert (leakage["low"], leakage["high"], leakage["n"]) == (None, None, 3)
    measure = made.figures["measures"]["leakage"]
    assert tables.spread(leakage, measure) == "n = 3"
    other = leakage | {"low": 1.0, "high": 2.0}
    assert tables.spread(other, measure, 3) == "1.00 to 2.00"
    assert tables.spread(other, measure, 12) == "1.00 to 2.00, n = 3"
    assert "(n = 3)" in markdown.write(made.figures, "velatura evaluate")
    report.write_report(made, tmp_path / "report.html")
    assert "<small>n = 3</small>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_home_made_figures_stand_beside_no_published_ones(made, tmp_path):
    report.write_report(made, tmp_path / "report.html")
    assert "Published figures" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_figures_are_plain_numbers_and_come_back(made, tmp_path):
    path = tmp_path / "figures.json"
    session.write_json(made.figures, path)
    assert session.read_json(path) == json.loads(json.dumps(made.figures))
    rows = made.figures["figures"]
    assert rows["exact"]["closeness"]["mean"] > 0.9 > rows["idle"]["closeness"]["mean"] == 0.0
    assert rows["target"]["leakage"]["mean"] < rows["exact"]["leakage"]["mean"] < 3.0
    assert rows["idle"]["background-psnr"]["mean"] == pytest.approx(58.92, abs=0.01)
    assert made.figures["survey"]["person with beard"]["exact"]["n"] == 2
    assert made.figures["seconds"]["idle"]["size"] == 2
    with pytest.raises(VelaturaError, match="holds no figures"):
        (tmp_path / "other.json").write_text("{}")
        session.read_json(tmp_path / "other.json")


def test_an_encoder_that_is_missing_leaves_its_measures_out(made, models, encoders, tmp_path):
    from dataclasses import replace

    less = replace(
        encoders, identity=None, judge=None, missing=["The weights of Velatura judge are missing."]
    )
    done = Session(made.options, made.cases, {}, made.editors, less, MEASURES)
    figures = session.evaluate(done, models, tmp_path / "work")
    assert not {"success", "identity", "acceptable"} & figures["measures"].keys()
    assert "leakage" in figures["measures"]
    report.write_report(done, tmp_path / "report.html")
    assert "The weights of Velatura judge are missing." in (tmp_path / "report.html").read_text()


def test_the_same_figures_have_not_changed(made):
    found = compare.changes(made.figures, made.figures)
    assert found and all(change.verdict == "" and change.adjusted == 1.0 for change in found)
    assert compare.summary(found, made.figures) == ["No measure has clearly changed."]


def test_a_clear_change_is_told_from_chance(made):
    old, new = deepcopy(made.figures), deepcopy(made.figures)
    rng = np.random.default_rng(0)
    ids = [f"case-{i}" for i in range(40)]
    for run in (old, new):
        run["cases"] = {id: {"kind": "portrait", "edit": "x", "digest": id} for id in ids}
        run["values"] = {"exact": {"leakage": {}, "closeness": {}}}
    for id in ids:
        level = rng.normal(5.0, 2.0)
        old["values"]["exact"]["leakage"][id] = level
        new["values"]["exact"]["leakage"][id] = (
            level - 0.5 + rng.normal(0.0, 0.3)
        )  # far less than between cases
        old["values"]["exact"]["closeness"][id] = rng.normal()
        new["values"]["exact"]["closeness"][id] = rng.normal()
    leakage, closeness = sorted(compare.changes(old, new), key=lambda change: -len(change.measure))[::-1]
    assert (leakage.measure, leakage.verdict, leakage.paired) == ("leakage", "better", True)
    assert closeness.verdict == ""
    assert "leakage" in compare.summary([leakage], new)[0].lower()
    for case in old["cases"].values():
        case["digest"] = "another"
    unpaired = compare.changes(old, new)
    assert not any(change.paired or change.verdict for change in unpaired)


@pytest.mark.parametrize("part", ["encoders", "weights"])
def test_a_judge_of_other_weights_makes_nothing_better_or_worse(made, part, tmp_path):
    old = deepcopy(made.figures)
    assert compare.left_out(old, made.figures) == []
    old[part]["judge"] = "another"
    assert not {"success", "kept"} & {change.measure for change in compare.changes(old, made.figures)}
    assert "leakage" in {change.measure for change in compare.changes(old, made.figures)}
    (sentence,) = compare.left_out(old, made.figures)
    assert sentence.startswith("Not compared, for other weights of random judge: Edit success, Acceptable")
    report.write_report(made, tmp_path / "report.html", (), "old.json of then", [sentence])
    assert sentence in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_weights_are_told_apart_by_their_values(encoders):
    first = encoders.weights()
    assert first.keys() == {"judge", "clip", "identity", "features"} and len(set(first.values())) == 3
    assert first["judge"] == first["features"]  # the judge's own
    other = deepcopy(encoders.judge)
    with torch.no_grad():
        next(iter(other.parameters())).flatten()[0] += 1e-3
    assert weights.of_network(other) != first["judge"] == weights.of_network(deepcopy(encoders.judge))
