"""`import velatura` against a real daemon and a tiny real model: arrays, files, jobs, errors."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import velatura
from tests.cli.pictures import gradient, load, save, soft_mask
from tests.patience import patience
from velatura.methods.registry import registry
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(240)
FILL = {"method": "blended-latent-diffusion", "settings": {"steps": 4}, "seed": 5}


@pytest.fixture
def session(running):
    with velatura.connect(running.state_dir, start=False) as session:
        yield session


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint16), (3, np.uint8), (4, np.uint16)])
def test_an_array_comes_back_edited_and_exact_outside_its_mask(session, channels, dtype):
    source, mask = gradient(channels, dtype), soft_mask()
    seen = []
    result = session.edit(source, "a hat", mask=mask, variations=2, on_progress=seen.append, **FILL)
    picture = result.picture()
    assert (picture.dtype, picture.shape) == (dtype, source.shape)
    assert np.array_equal(picture[mask == 0], source[mask == 0])
    assert not np.array_equal(picture[mask == 255], source[mask == 255])
    assert [layer.pixels.dtype for layer in result.layers] == [dtype] * 2
    assert result.layers[0].score >= result.layers[1].score
    assert result.best.recipe["seed"] == 5 and result.best.recipe["variations"] == 2
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and fractions[-1] > 0
    assert seen[-1].preview.dtype == np.uint8 and max(seen[-1].preview.shape[:2]) <= 256


def test_files_arrays_and_the_command_line_give_the_same_pixels(session, cli, tmp_path):
    source, mask = gradient(3, np.uint8), soft_mask()
    save(tmp_path / "in.png", source)
    save(tmp_path / "mask.png", mask[..., None])
    words = ("--mask", tmp_path / "mask.png", "--method", FILL["method"], "--prompt", "a hat")
    cli("edit", tmp_path / "in.png", *words, "--set", "steps=4", "--seed", 5, "--out", tmp_path / "cli.png")
    from_array = session.edit(source, "a hat", mask=mask, **FILL)
    from_file = session.edit(tmp_path / "in.png", "a hat", mask=str(tmp_path / "mask.png"), **FILL)
    typed = FILL | {"settings": registry()[FILL["method"]].Parameters(steps=4)}
    from_class = session.edit(source, "a hat", mask=mask, **typed)
    expected = load(tmp_path / "cli.png")
    for result in (from_array, from_file, from_class):
        assert np.array_equal(result.picture(), expected)
    assert from_file.save(tmp_path / "own.png") == [tmp_path / "own.png"]
    assert np.array_equal(load(tmp_path / "own.png"), expected)
    assert '"same": true' in cli("rerun", tmp_path / "own.png", "--json").stdout


def test_a_mask_of_truth_values_is_a_selection(session):
    source, mask = gradient(3, np.uint8), soft_mask() == 255
    result = session.edit(source, "a hat", mask=mask, **FILL).picture()
    assert np.array_equal(result[~mask], source[~mask]) and not np.array_equal(result[mask], source[mask])


def test_jobs_run_side_by_side_and_can_be_cancelled_alone(session):
    source = gradient(3, np.uint8)
    endless = session.start(source, "a hat", method="until-told")
    for progress in endless:
        if progress.fraction > 0:
            break
    with pytest.raises(TimeoutError, match="wait longer, or cancel"):
        endless.result(timeout=0.01)
    waiting = session.start(source, "a hat", **FILL)
    endless.cancel()
    with pytest.raises(VelaturaError, match="The edit was cancelled") as stopped:
        endless.result(timeout=patience(60))
    assert stopped.value.code == "cancelled" and endless.done
    assert waiting.result(timeout=patience(120)).layers
    assert list(endless)[-1:] == [endless.progress]


def test_an_exception_of_the_callback_cancels_the_edit(session):
    def refuse(progress):
        if progress.fraction > 0:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        session.edit(gradient(3, np.uint8), "a hat", method="until-told", on_progress=refuse)
    session.close()
    assert threading.active_count() == before


def test_words_and_choices_may_be_given_as_a_person_says_them(session):
    source, mask = gradient(3, np.uint8), soft_mask()
    words = next(method for method in session.methods if method.words and method.result == "layer")
    settings = {words.words.key: ["hat"], words.caption.key: "a woman", "steps": 4}
    result = session.edit(source, "a hat", mask=mask, method=words.id, settings=settings, seed=5)
    entry = result.best.recipe["parameters"][words.words.key][0]
    assert entry["text"] == "hat"
    masks = session.edit(source, "a hat", method=session.catalogue.word_finder.id)
    assert masks.layers and masks.best.pixels.shape[-1] == 1
    assert masks.picture().shape == source.shape
    with pytest.raises(VelaturaError, match=r"has no setting 'stepz'; it has: .*steps"):
        session.edit(source, "a hat", mask=mask, settings={"stepz": 3})
    with pytest.raises(VelaturaError, match="Steps: enter a whole number"):
        session.edit(source, "a hat", mask=mask, method=FILL["method"], settings={"steps": 0})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"source": np.zeros((4, 4, 5), np.uint8)}, r"array of shape \(4, 4, 5\)"),
        ({"source": np.zeros((0, 4), np.uint8)}, r"array of shape \(0, 4\)"),
        ({"source": np.zeros((4, 4), np.float64)}, "array of float64; give uint8"),
        ({"mask": np.zeros((4, 4), np.uint8)}, "The mask is 4 x 4 and the picture 64 x 48"),
        ({"mask": np.zeros((48, 64, 3), np.uint8)}, "The mask has 3 dimensions"),
        ({"method": "magic"}, "There is no method 'magic'; there are: flow-align"),
        ({"pictures": {"magic": "a.png"}}, "has no picture 'magic'"),
        ({"source": "gone.png"}, "gone.png"),
    ],
)
def test_bad_input_is_refused_before_any_work(session, arguments, sentence):
    given = {"source": gradient(3, np.uint8), "prompt": "a hat"} | arguments
    with pytest.raises(VelaturaError, match=sentence):
        session.start(**given)
    assert session._jobs == []


def test_a_result_is_written_only_where_it_can_be(session, tmp_path):
    result = session.edit(gradient(3, np.uint8), "a hat", mask=soft_mask(), **FILL)
    for name, sentence in (("a.gif", "must end in .ora or .png"), ("gone/a.png", "There is no folder")):
        with pytest.raises(VelaturaError, match=sentence):
            result.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_imports_no_picture_library():
    code = "import sys, velatura; print(velatura.__version__, {'numpy', 'PIL', 'zmq'} & set(sys.modules))"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.split(maxsplit=1)[1].strip() == "set()"
    with pytest.raises(AttributeError, match="has no attribute 'magic'"):
        velatura.magic  # noqa: B018


def test_without_a_daemon_and_without_starting_one_it_says_so(tmp_path):
    with pytest.raises(VelaturaError) as refused:
        velatura.connect(tmp_path, start=False)
    assert refused.value.code == "not-running"
