"""Requests, whole: every depth and layout, what comes back, and what is refused."""

import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from tests.methods.requests import DTYPES, Edit, Recorded, box, picture, pixels
from velatura.cache.cache import Cache
from velatura.inversion.trajectory import Trajectory
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura.ranking.asked import LOOKS
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Raster
from velatura_protocol.requests import Request

BLD = "blended-latent-diffusion"
MASK = box(80, 100, (30, 60), (20, 70), 200)


@pytest.mark.parametrize(
    ("channels", "dtype", "profile"),
    list(itertools.product(["BGRA", "RGB", "GA"], DTYPES, ["sRGB", "sRGB-linear"])),
)
def test_a_result_is_in_the_sources_own_colours(models, channels, dtype, profile):
    source = picture(80, 100, channels, dtype)
    edit = Edit(source, MASK, channels=channels, profile=profile, method=BLD, origin=(-5, 9), at=(-5, 9))
    Request.from_wire(edit.request)
    (result,) = edit.run(models)
    raster = Raster.from_wire(result.raster)
    assert raster.rect == (15, 39, 50, 30)
    assert (raster.dtype, raster.profile) == (dtype, profile)
    assert raster.channels == {"RGB": "RGBA"}.get(channels, channels)
    assert (raster.digest, raster.nbytes) == (digest(result.data), len(result.data))
    values = pixels(result)
    alpha = {"u8": 200, "u16": 200 * 257, "f16": np.float16(200 / 255), "f32": np.float32(200 / 255)}
    assert (values[..., raster.channels.index("A")] == alpha[dtype]).all()
    assert np.isfinite(values.astype(np.float32)).all()


def test_variations_have_their_seeds_titles_and_recipes(models):
    edit = Edit(picture(80, 100), MASK, variations=3, seed=2**31 - 2)
    results = edit.run(models)
    assert [r.seed for r in results] == [2**31 - 2, 2**31 - 1, 0]
    assert results[1].title.startswith("Variation 2") and results[1].title.endswith("(seed 2147483647)")
    model = models.get("")
    for i, result in enumerate(results):
        assert result.index == i
        assert result.recipe == edit.request | {
            "model": {"id": "tiny", "digest": model.digest},
            "variation": i,
        }
    assert len({r.data for r in results}) == 3


def test_several_variations_are_ranked_and_stay_in_the_order_of_their_seeds(models):
    hooks = Recorded()
    results = Edit(picture(80, 100), MASK, method=BLD, variations=3).run(models, hooks)
    assert [r.seed for r in results] == [7, 8, 9]
    assert sorted(r.place.rank for r in results) == [0, 1, 2]
    assert set(results[0].place.scores) == {"asked", "seam"}
    assert ["best" in r.title for r in results] == [r.place.rank == 0 for r in results]
    assert hooks.stages[-1] == "Ranking" and results[0].note == ""
    assert hooks.fractions == sorted(hooks.fractions) and hooks.fractions[-1] < 1.0
    by_clip = 1
    looks = len(LOOKS) + by_clip + 1
    assert hooks.stages.count("Ranking") == 3 * looks and hooks.stages[-looks:] == ["Ranking"] * looks


def test_each_variation_arrives_as_soon_as_it_is_done_with_its_final_score_and_pixels(models):
    hooks, came = Recorded(), []

    def arrived(layer):
        came.append((layer, len(hooks.fractions), hooks.fractions[-1]))

    results = Edit(picture(80, 100), MASK, method=BLD, variations=3).run(models, hooks, arrived)
    assert [layer.index for layer, _, _ in came] == [0, 1, 2]
    assert [layer.data for layer, _, _ in came] == [r.data for r in results]
    for (layer, _, fraction), result in zip(came, results, strict=True):
        assert layer.place is None and (layer.scored.score, layer.scored.scores) == (
            result.place.score,
            result.place.scores,
        )
        assert layer.recipe == result.recipe and layer.raster == result.raster
        assert layer.index / 3 < fraction < (layer.index + 1) / 3
        image = Image.open(io.BytesIO(layer.thumbnail.data))
        assert image.format == "JPEG" and image.size == (layer.thumbnail.width, layer.thumbnail.height)
    assert came[0][1] < came[1][1] < came[2][1] <= len(hooks.fractions)


def test_one_variation_and_a_draft_do_not_arrive_before_the_end(models):
    came = []
    (result,) = Edit(picture(80, 100), MASK).run(models, arrived=came.append)
    Edit(picture(80, 100), MASK, variations=2, draft=True).run(models, arrived=came.append)
    assert came == [] and result.thumbnail is not None


def test_one_variation_is_not_ranked(models):
    hooks = Recorded()
    (result,) = Edit(picture(80, 100), MASK).run(models, hooks)
    assert result.place is None and "Ranking" not in hooks.stages


@pytest.mark.parametrize("told", ["wanted", "before"])
def test_a_method_can_say_what_its_result_should_show_and_what_the_layer_shows(models, monkeypatch, told):
    edit = Edit(picture(80, 100), MASK, variations=2)
    plain = edit.run(models)
    monkeypatch.setattr(type(registry()["sdedit"]), told, lambda *_: "a red beard")
    other = edit.run(models)
    assert [r.data for r in plain] == [r.data for r in other]
    assert [r.place.scores["asked"] for r in plain] != [r.place.scores["asked"] for r in other]


def test_a_caption_of_the_layer_is_what_the_layer_shows():
    method = registry()["prompt-to-prompt"]
    assert method.before(method.Parameters(source_prompt=" a head ")) == "a head"
    assert registry()[BLD].before(registry()[BLD].Parameters()) == ""


@pytest.mark.parametrize("error", [RuntimeError("a fault"), torch.OutOfMemoryError("no room")])
def test_a_fault_in_ranking_loses_no_result(models, monkeypatch, caplog, error):
    def fails(*_):
        raise error

    edit = Edit(picture(80, 100), MASK, variations=2)
    ranked = edit.run(models)
    monkeypatch.setattr("velatura.ranking.asked.position", fails)
    results = edit.run(models)
    assert [r.data for r in results] == [r.data for r in ranked]
    assert [r.place for r in results] == [None, None]
    assert results[0].note.startswith("Not ranked: ") and "not ranked" in caplog.text


def test_a_cancel_is_heard_while_results_are_pasted(models):
    class Hooks(Recorded):
        def cancelled(self):
            return "Finishing" in self.stages

    with pytest.raises(Cancelled):
        Edit(picture(80, 100), MASK).run(models, Hooks())


def test_ranking_can_be_cancelled(models):
    class Impatient(Recorded):
        def cancelled(self):
            return "Ranking" in self.stages

    with pytest.raises(Cancelled):
        Edit(picture(80, 100), MASK, variations=2).run(models, Impatient())


def test_a_recipe_runs_again_to_the_same_bytes(models):
    edit = Edit(picture(80, 100), MASK, method=BLD)
    (first,) = edit.run(models)
    edit.request = {key: value for key, value in first.recipe.items() if key != "variation"}
    assert edit.run(models)[0].data == first.data


@pytest.mark.parametrize("method", [BLD, "sdedit", "magicmix"])
def test_more_like_a_result_is_nearer_the_smaller_the_distance_and_comes_again_to_the_byte(models, method):
    def like(*steps, seed=99, variations=1):
        around = [{"seed": s, "distance": d} for s, d in steps]
        edit = Edit(picture(80, 100), MASK, method=method, seed=seed, variations=variations)
        edit.request["parameters"] = edit.request["parameters"] | {"around": around}
        return edit, edit.run(models)

    (first,), (other,) = like(seed=7)[1], like()[1]
    far = [np.abs(pixels(like((7, d))[1][0]).astype(int) - pixels(first)).sum() for d in (0.0, 0.1, 0.4, 0.9)]
    assert far[0] == 0 and far == sorted(far) and far[1] < far[3]
    assert like((7, 1.0))[1][0].data == other.data
    edit, both = like((7, 0.3), variations=2)
    assert [r.seed for r in both] == [99, 100] and both[0].data != both[1].data
    (chained,) = like((7, 0.3), (100, 0.0), seed=5)[1]
    assert chained.data == both[1].data
    edit.request = {key: value for key, value in both[1].recipe.items() if key != "variation"}
    assert [r.data for r in edit.run(models)] == [r.data for r in both]


def test_nothing_is_like_a_result_that_does_not_vary(models):
    edit = Edit(picture(80, 100), MASK, method="prompt-to-prompt")
    edit.request["parameters"] |= {
        "start": "layer",
        "inversion": "direct",
        "around": [{"seed": 1, "distance": 0.5}],
    }
    with pytest.raises(VelaturaError, match="nothing is like it"):
        edit.run(models)


def test_without_a_selection_the_whole_layer_comes_back_with_its_own_alpha(models):
    source = picture(70, 90)
    source[..., 3] = 0
    source[10:60, 5:80, 3] = 130
    (result,) = Edit(source).run(models)
    assert result.raster["rect"] == [0, 0, 90, 70]
    assert np.array_equal(pixels(result)[..., 3], source[..., 3])
    assert (pixels(result)[source[..., 3] == 0] == 0).all()


def test_nothing_is_selected_beneath_alpha_nought(models):
    mask = box(80, 100, (30, 60), (20, 70))
    mask[40:50] = 0
    (result,) = Edit(picture(80, 100), mask, method=BLD).run(models)
    assert (pixels(result)[10:20] == 0).all()
    assert (pixels(result)[:10, :, 3] == 255).all()


def test_a_full_mask_is_a_whole_edit(models):
    (result,) = Edit(picture(), np.full((64, 64), 255, np.uint8), method=BLD).run(models)
    assert result.raster["rect"] == [0, 0, 64, 64]
    assert (pixels(result)[..., 3] == 255).all()


def test_a_mask_partly_outside_the_layer_is_cut_to_it(models):
    (result,) = Edit(picture(), np.full((64, 64), 255, np.uint8), at=(40, -30)).run(models)
    assert result.raster["rect"] == [40, 0, 24, 34]


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (3, 16384)])
def test_extreme_layers(models, shape):
    source = np.full((*shape, 4), 128, np.uint8)
    (result,) = Edit(source, np.full(shape, 255, np.uint8), method=BLD).run(models)
    assert result.raster["rect"] == [0, 0, shape[1], shape[0]]


def test_a_small_edit_of_a_large_layer(models):
    source = np.full((512, 16384, 4), 128, np.uint8)
    (result,) = Edit(source, np.full((9, 9), 255, np.uint8), at=(16380, 300)).run(models)
    assert result.raster["rect"] == [16380, 300, 4, 9]


def test_floats_that_are_no_numbers_harm_nothing(models):
    source = picture(80, 100, dtype="f32")
    source[40, 40] = np.nan
    source[41, 41] = np.inf
    (result,) = Edit(source, MASK, method=BLD, profile="sRGB-linear").run(models)
    assert np.isfinite(pixels(result)).all()


def test_inputs_are_not_written_to(models):
    edit = Edit(picture(80, 100), MASK, method=BLD)
    before = {key: bytes(value) for key, value in edit.blobs.items()}
    edit.run(models)
    assert edit.blobs == before


class NoModels:
    """A store whose model must not be loaded."""

    def entry(self, id="", suits=lambda _: True):
        return ModelEntry("tiny", "Tiny", "diffusers", "/", 64)

    def get(self, id=""):
        raise AssertionError("the model was asked for")


def refused(edit, models=None):
    with pytest.raises(VelaturaError) as error:
        edit.run(models or NoModels())
    assert error.value.message.endswith(".")
    return error.value.code


def test_bad_input_is_refused_before_the_model_is_touched():
    good = picture()
    assert refused(Edit(good, np.zeros((64, 64), np.uint8))) == "empty-mask"
    assert refused(Edit(good, np.full((64, 64), 255, np.uint8), at=(64, 0))) == "mask-outside"
    assert refused(Edit(good, MASK[:64, :64], profile="Adobe RGB (1998)")) == "unsupported-colour"
    assert refused(Edit(good, prompt="  ")) == "empty-prompt"
    assert refused(Edit(good, method="magic")) == "unknown-method"
    assert refused(Edit(good, method_version=99)) == "unknown-method"
    assert refused(Edit(good, variations=9)) == "bad-request"
    short = Edit(good)
    short.blobs = {key: value[:-1] for key, value in short.blobs.items()}
    assert refused(short) == "bad-layer"
    for bad in ({"steps": float("nan")}, {"steps": 10**6}, {"no": 1}):
        edit = Edit(good)
        edit.request["parameters"] |= bad
        assert refused(edit) == "bad-request"


def test_bad_input_that_only_the_model_can_tell(models):
    assert refused(Edit(picture(), prompt="much too long " * 20), models) == "prompt-too-long"
    long = {"steps": 4, "negative_prompt": "much too long " * 20}
    assert refused(Edit(picture(), parameters=long), models) == "prompt-too-long"
    assert refused(Edit(picture(), model={"id": "other", "digest": ""}), models) == "unknown-model"
    digest = "blake2b:" + "1" * 64
    assert refused(Edit(picture(), model={"id": "tiny", "digest": digest}), models) == "unknown-model"
    assert refused(Edit(np.zeros((64, 64, 4), np.uint8)), models) == "empty-layer"


def test_too_little_memory_makes_batches_smaller(models, monkeypatch):
    edit = Edit(picture(), method=BLD, variations=3)
    whole = edit.run(models)
    network, sizes = type(models.get("")).network, []

    def limited(self, x, t, c):
        sizes.append(len(x) // 2)
        if len(x) > 2:
            raise torch.OutOfMemoryError("no room")
        return network(self, x, t, c)

    monkeypatch.setattr(type(models.get("")), "network", limited)
    monkeypatch.setattr("velatura.methods.run.makes_one_by_one", lambda model: False)  # as on a GPU
    hooks = Recorded()
    small = edit.run(models, hooks)
    assert [size for size, _ in itertools.groupby(sizes)] == [1, 2, 1]
    assert hooks.fractions == sorted(hooks.fractions)
    for a, b in zip(whole, small, strict=True):
        np.testing.assert_allclose(pixels(a).astype(int), pixels(b).astype(int), atol=1)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("no room"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_no_memory_at_all_is_said(models, monkeypatch, error):
    def never(self, x, t, c):
        raise error

    monkeypatch.setattr(type(models.get("")), "network", never)
    assert refused(Edit(picture(), variations=2), models) == "out-of-memory"


def test_what_is_remembered_makes_room_for_the_edit(models, monkeypatch):
    """A picture that fits in memory, but not beside what is remembered of others."""
    remembered = Cache(memory=1 << 26)
    remembered.keep("another's", Trajectory([1.0, 0.0], [torch.zeros(1, 4, 8, 8), None]))
    network, passes = type(models.get("")).network, []

    def limited(self, x, t, c):
        passes.append(remembered.nbytes)
        if remembered.nbytes:
            raise torch.OutOfMemoryError("no room")
        return network(self, x, t, c)

    monkeypatch.setattr(type(models.get("")), "network", limited)
    edit = Edit(picture())
    assert len(execute(edit.request, edit.blobs.__getitem__, models, Recorded(), remembered)) == 1
    assert passes[0] > 0 and not any(passes[1:])


def test_half_precision_is_nearly_the_same(models, entries):
    half = ModelStore(entries, dtype=torch.bfloat16)
    edit = Edit(picture(80, 100), MASK, method=BLD)
    exact, rough = pixels(edit.run(models)[0]).astype(int), pixels(edit.run(half)[0]).astype(int)
    assert half.get().unet.dtype == torch.bfloat16
    assert np.abs(exact - rough).mean() < 3
