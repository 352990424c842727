"""Studies on a tiny random model: what each row is, what it is asked, and what follows from the figures."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.tiny import tiny_model
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_lab.evaluation import markdown, selections, sliders, slides
from velatura_lab.evaluation import prompt_to_prompt as words
from velatura_lab.evaluation.cases import phrases, world_cases
from velatura_lab.evaluation.selections import CHANGE, THRESHOLDS, Found, Selector, named
from velatura_lab.evaluation.session import Options, evaluate
from velatura_lab.evaluation.slides import GRADED, THINGS, Slid
from velatura_lab.world.pairs import pairs
from velatura_protocol.errors import VelaturaError


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A tiny model that reads whole captions."""
    folder = tiny_model(tmp_path_factory.mktemp("reader"), vae="tiny", words=250)
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)])


def test_the_words_study_is_one_method_with_many_settings_and_no_selection(models):
    found = words.editors(models, rows=("published", "cross 0.8", "same noise"))
    assert [e.title for e in found[:3]] == [
        "cross 0.8",
        "published (cross 0.8, self 0.2, k 0.3)",
        "same noise",
    ]
    settings = [e.settings["parameters"] for e in found[:3]]
    assert settings[0]["cross_until"] == 0.8 and settings[1]["renormalise"] is False
    assert settings[2]["cross_until"] == settings[2]["self_until"] == 0.0
    assert [e.baseline for e in found] == [False, False, True, True, True]
    assert [e.id for e in found[3:]] == ["noise-and-denoise", "same-seed"]
    assert not any(editor.masked for editor in found[:-1])
    with pytest.raises(VelaturaError, match="no settings 'k 9'"):
        words.editors(models, rows=("k 9",))


def test_every_row_says_k_cross_and_self_itself_and_no_two_are_the_same(models):
    every = words.editors(models)
    settings = [repr(editor.settings) for editor in every]
    assert len(set(settings)) == len(settings) <= 18
    for row, changes in words.SETTINGS.items():
        own = changes.keys() >= {"threshold", "cross_until", "self_until", "local_blend"}
        assert own == (row != words.SHIPPED), row
    shipped = every[0].settings["parameters"]
    assert every[0].title == "shipped (cross 0.4, self 0.4, k 0.45)"
    assert words.BASE.items() <= shipped.items(), "what ships has changed: vary the rows around that"
    assert not words.BY_NAME & {editor.title for editor in every}
    assert words.editors(models, rows=("null text",))[0].title == "null text"
    assert every[0].settings == words.editors(models, rows=(words.SHIPPED,))[0].settings


def test_new_words_are_turned_up_balanced_and_not(reader):
    found = words.editors(reader, rows=("weight 3", "weight 3 not balanced"), defaults={"steps": 4})
    balanced, published = found[:2]
    assert balanced.settings["parameters"]["renormalise"] is True
    assert balanced.settings | {"parameters": {}} == published.settings | {"parameters": {}}
    assert balanced.settings["weight"] == 3.0
    case = next(c for c in world_cases(["portrait"], 9, 7, 64) if c.target_words == "man")
    plain = words.editors(reader, rows=("shipped",), defaults={"steps": 4})[0].edit(case, [1]).pictures
    first, second = (editor.edit(case, [1]).pictures for editor in (balanced, published))
    assert (first != plain).any() and (second != plain).any() and (first != second).any()
    for nothing in (replace(case, target_words=""), replace(case, target_prompt="a man, a man")):
        with pytest.raises(VelaturaError, match="no new words"):
            balanced.edit(nothing, [1])


def test_a_picture_from_a_seed_is_its_own_source(models, cases):
    new = words.editors(models, rows=("new picture same seed",))[0]
    done = new.edit(cases[0], [4])
    assert done.sources.shape == done.pictures.shape and (done.sources != done.pictures).any()
    alike = new.edit(replace(cases[0], target_prompt=cases[0].source_prompt), [4])
    assert (alike.sources == alike.pictures).all() and (alike.sources == done.sources).all()


def row(success, leakage):
    each = {f"case-{i}": leakage + i for i in range(8)}
    one = {"low": success, "high": success, "n": 8}
    mean = float(np.mean(list(each.values())))
    figures = {"success": one | {"mean": success}, "leakage": one | {"mean": mean}}
    return {"leakage": each}, figures


def of_words(**rows):
    """Figures as an evaluation finds them. rows: title -> (success, leakage), naive ones in capitals."""
    found = {"values": {}, "figures": {}, "editors": {}, "measures": {"success": {}, "leakage": {}}}
    ids = {"SEED": words.SAME_SEED, "NOISE": f"{words.METHOD}: {words.SAME_NOISE}"}
    for title, (success, leakage) in rows.items():
        id = ids.get(title, title)
        found["values"][id], found["figures"][id] = row(success, leakage)
        settings = {"parameters": {"start": "layer"}} if title != "SEED" else {}
        found["editors"][id] = {"title": title, "baseline": title in ids, "settings": settings}
    return found


def test_the_rule_takes_the_most_success_of_those_that_leak_half_at_most():
    naive = {"SEED": (1.0, 40.0), "NOISE": (1.0, 20.0)}
    found = of_words(loose=(1.0, 15.0), tight=(0.8, 3.0), timid=(0.5, 0.5), **naive)
    (sentence,) = words.conclude(found)
    assert sentence.endswith("It chooses: tight.")
    ratio = found["figures"]["loose"]["ratio-source"]
    assert ratio["mean"] == pytest.approx(18.5 / 23.5) and ratio["low"] < ratio["mean"] < ratio["high"]
    assert found["figures"]["loose"]["ratio-seed"]["mean"] == pytest.approx(18.5 / 43.5)
    equal = of_words(a=(0.8, 4.0), b=(0.8, 3.0), **naive)
    assert words.conclude(equal)[0].endswith("It chooses: b.")
    assert words.conclude(of_words(loose=(1.0, 15.0), **naive))[0].endswith("There are none.")
    assert words.conclude(of_words(alone=(1.0, 0.0)))[0].endswith("There are none.")
    turned = of_words(loud=(1.0, 0.0), plain=(0.5, 1.0), **naive)
    turned["editors"]["loud"]["settings"]["weight"] = words.LOUD
    assert words.conclude(turned)[0].endswith("It chooses: plain.")


def test_words_name_elements_that_are_there():
    for kind in ("portrait", "landscape", "table"):
        for pair in pairs(kind, 6, 3):
            found = named(pair, "x", 64)
            told = phrases(pair.source_caption)
            assert [case.type for case in found][-1] == CHANGE
            for case in found[:-1]:
                assert told[case.type].split()[-1] == case.word and told[case.type] in case.source_prompt
                assert told[case.type] in case.phrases
                assert case.region.mean() >= selections.LEAST_AREA
                assert case.words == found[0].words and case.trial == "x"
            assert len({case.digest for case in found}) == len(found)


def test_overlap_counts_what_lies_above_the_threshold():
    case = named(next(pairs("portrait", 1, 3)), "x", 64)[0]
    exact = (case.region > 0.5).astype(np.float32)
    assert [Found(case, exact).overlap(t) for t in THRESHOLDS] == [1.0] * len(THRESHOLDS)
    half = exact.copy()
    half[: np.flatnonzero(exact.any(1)).mean().astype(int)] *= 0.25
    found = Found(case, half)
    assert found.overlap(0.2) == 1.0 > found.overlap(0.3) == pytest.approx((half > 0.3).sum() / exact.sum())
    assert selections.MEASURES["iou-0.3"].of(found) == found.overlap(0.3)
    assert selections.MEASURES["best"].of(found) == 1.0
    assert selections.MEASURES["pointing"].of(found) == 1.0
    assert selections.MEASURES["pointing"].of(Found(case, 1.0 - exact)) == 0.0
    assert Found(case, 1.0 - exact).overlap(0.5) == 0.0


def test_a_method_of_masks_is_asked_for_words_or_for_changes_and_once_a_picture(reader):
    cases = named(next(pairs("portrait", 1, 3)), "x", 64)
    by_word, by_change = (
        Selector(registry()[id], reader, defaults={"looks": 1}, masked=False)
        for id in ("word-map", "diffedit-mask")
    )
    assert [by_word.takes(case) for case in cases] == [True] * (len(cases) - 1) + [False]
    assert [by_change.takes(case) for case in cases] == [False] * (len(cases) - 1) + [True]
    whole = Selector(registry()["word-map"], reader, defaults={"looks": 1}, masked=False, whole=True)
    longer = next(i for i, phrase in enumerate(cases[0].phrases) if " " in phrase)
    maps = [by_word.edit(case, [1]).pictures for case in cases[:-1]]
    assert (whole.edit(cases[longer], [1]).pictures != maps[longer]).any()
    assert all(map.shape == (1, 64, 64) and map.dtype == np.uint8 for map in maps)
    cut = {"looks": 1, "threshold": 0.999, "softness": 0.0}  # of a person's selection, not of the map
    other = Selector(registry()["word-map"], reader, defaults=cut, masked=False)
    assert (other.edit(cases[0], [1]).pictures == maps[0]).all() and maps[0].min() > 0
    assert (maps[0] != maps[1]).any()
    request, _ = by_word.request(cases[0], [1])
    assert by_change.edit(cases[-1], [1]).pictures.shape == (1, 64, 64)
    assert request["parameters"]["looks"] == 1


def test_a_slider_has_a_word_that_stands_once_in_its_prompt():
    for kind in ("portrait", "landscape", "table"):
        for edit in (*sliders.graded(kind), *sliders.things(kind)):
            found = sliders.slides(kind, edit, 2, 7, 64)
            assert sum(not slide.alone for slide in found) == 2
            assert len({slide.digest for slide in found}) == len(found)
            for slide in found:
                prompt = f" {slide.target_prompt.replace(',', '')} "
                assert prompt.count(f" {slide.word} ") == 1
                assert slide.graded == (edit in sliders.graded(kind)) and not (slide.graded and slide.alone)
                assert (slide.source_prompt == slide.target_prompt) == (not slide.graded)
                assert slide.weights == (GRADED if slide.graded else THINGS)
                assert not slide.alone or " " not in slide.word
    again = sliders.slides("portrait", sliders.graded("portrait")[0], 1, 7, 64)[0]
    assert again.digest == sliders.slides("portrait", sliders.graded("portrait")[0], 2, 7, 64)[0].digest


@pytest.fixture(scope="module")
def graded():
    return sliders.slides("portrait", sliders.graded("portrait")[1], 1, 7, 64)[0]


def slid(case, encoders, degrees, before=0.2):
    found = Slid(case, np.stack([case.source] * len(case.weights)), encoders)
    found.degrees = dict(zip(case.weights, degrees, strict=True))
    found.degree_before = before
    return found


def test_what_a_slider_does_is_measured(graded, encoders):
    def of(name, degrees):
        return slides.MEASURES[name].of(slid(graded, encoders, degrees))

    rising = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert of("spearman", rising) == pytest.approx(1.0)
    assert of("spearman", rising[::-1]) == pytest.approx(-1.0)
    assert of("spearman", [0.5] * 8) == 0.0
    assert of("monotone", rising) == 1.0
    assert of("monotone", [0.9, 0.5, 0.49, 0.3, 0.4, 0.4, 0.4, 0.4]) == pytest.approx(5 / 6)
    assert of("travel", rising) == pytest.approx(0.6)
    assert of("zero", rising) == pytest.approx(0.0)
    assert of("negative", rising) == pytest.approx(-0.1)
    assert math.isnan(of("removed", rising))
    assert slides.MEASURES["leakage"].of(slid(graded, encoders, rising)) == 0.0


def test_a_thing_is_gone_where_the_judge_reads_none(encoders):
    glasses = next(edit for edit in sliders.things("portrait") if edit.attribute == "glasses")
    case = sliders.slides("portrait", glasses, 1, 7, 64)[0]
    found = Slid(case, np.stack([case.source] * 2), encoders)
    (reading,) = encoders.judge.read(case.source_image)
    off, there = (
        replace(reading, kind="portrait", values={"glasses": value}) for value in ("none", "glasses")
    )
    found.readings = [there, off]  # at -1 and at 0
    assert slides.MEASURES["removed"].of(found) == 1.0
    assert slides.MEASURES["removed-1"].of(found) == 0.0
    assert math.isnan(slides.MEASURES["spearman"].of(found))
    alone = Slid(replace(case, alone=True), found.pictures, encoders)
    alone.readings = [there, off]
    assert math.isnan(slides.MEASURES["removed"].of(alone))
    assert slides.MEASURES["removed-noun"].of(alone) == 1.0
    found.readings = [there, replace(off, kind="table")]
    assert slides.MEASURES["removed"].of(found) == 0.0


def test_the_weight_reaches_the_edit(reader, graded):
    options = Options(methods=("no local blend",))
    (slider,) = sliders.editors(reader, options, {"steps": 4})
    assert slider.settings["parameters"]["local_blend"] is False
    pictures = slider.edit(graded, [1]).pictures
    assert pictures.shape == (len(GRADED), *graded.source.shape)
    assert len({picture.tobytes() for picture in pictures}) == len(GRADED)
    assert "words" not in slider.settings or slider.settings["parameters"]["words"] == []
    with pytest.raises(VelaturaError, match="no settings 'loud'"):
        sliders.editors(reader, Options(methods=("loud",)), {})


def test_a_study_takes_only_cases_of_its_own_and_a_number_of_pairs(reader):
    (slider,) = sliders.editors(reader, Options(methods=("shipped",)), {})
    (case,) = world_cases(["portrait"], 1, 7, 64)
    with pytest.raises(TypeError, match="portrait-0000 is no Slide"):
        slider.edit(case, [1])
    with pytest.raises(ValueError, match="number of pairs"):
        sliders.prepare(Options(pairs=None), reader, {})


def test_words_that_do_not_rise_are_named():
    rates = {"a: long": {"x": {"mean": 0.95}}, "b: old": {"x": {"mean": 0.5}}}
    found = {"types": rates, "editors": {"x": {"title": "shipped"}}}
    assert sliders.conclude(found) == ["Below 0.9 (shipped): b: old: 0.50."]
    found["types"] = {"a: long": {"x": {"mean": 0.95}}}
    assert "at least 0.9" in sliders.conclude(found)[0]


def test_cases_of_one_picture_are_one_trial(reader, tmp_path):
    options = Options(methods=("word-map",), kinds=("portrait",), pairs=2, seeds=1, quiet=True, timed=False)
    made = selections.prepare(options, reader, {"looks": 1})
    made.editors = made.editors[:1]
    found = evaluate(made, reader, tmp_path / "work")
    (id,) = found["editors"]
    assert len(found["values"][id]["best"]) == sum(case.type != CHANGE for case in made.cases) > 2
    assert found["figures"][id]["best"]["n"] == 2
    assert found["by_type"] == {"measure": "best", "types": "element"} and found["types"]
    text = markdown.write(found, "velatura evaluate --study selections")
    lines = text.splitlines()
    head, line = (next(line for line in lines if start in line) for start in ("IoU at 0.1", "shipped |"))
    assert head.count("|") == line.count("|") and "`velatura evaluate --study selections`" in lines[0]
    assert lines[-1] == found["conclusions"][-1] and "threshold" in lines[-1]
    assert not any(word in text for word in ("nan", "None"))
