"""The methods that CLIP guides, on tiny random networks."""

import numpy as np
import pytest
import torch

from tests.methods.requests import Edit, Recorded, pixels
from tests.tiny import tiny_clip, tiny_model, tiny_pixel_model
from velatura.clip_guidance import edit
from velatura.clip_guidance.augment import whole
from velatura.methods.base import Cancelled
from velatura.models import catalogue
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

QUICK = {"steps": 6, "context": 1.0}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A latent model first, then one of pixels, each with a CLIP."""
    folder = tmp_path_factory.mktemp("models")
    for name, made in (("pixels", tiny_pixel_model(folder / "p")), ("latent", tiny_model(folder / "l"))):
        tiny_clip(made / "clip")
        catalogue.add(folder / "state", name, str(made))
    return ModelStore(
        [entry for entry in catalogue.entries(folder / "state") if entry.id in ("latent", "pixels")]
    )


def layer(height=40, width=56):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def selection(height=40, width=56):
    mask = np.zeros((height, width), np.uint8)
    mask[10:30, 16:40] = 255
    mask[10:30, 40:44] = 100
    return mask


def request(method="blended-diffusion", **more):
    return Edit(layer(), selection(), channels="RGB", method=method, **{"parameters": QUICK, **more})


@pytest.mark.parametrize("parameters", [QUICK, {**QUICK, "thorough": False, "sees_selection_only": False}])
def test_without_a_name_the_model_of_pixels_paints_the_selection_alone(models, parameters):
    hooks = Recorded()
    (result,) = request(parameters=parameters).run(models, hooks)
    assert result.recipe["model"]["id"] == "pixels"
    shown = pixels(result)
    assert shown[..., 3].max() == 255 and hooks.steps[-1] == (5, 5)
    assert len(hooks.previews) >= 1


def test_a_named_model_of_another_kind_is_refused(models):
    with pytest.raises(VelaturaError, match="needs a diffusion model of pixels"):
        request(model={"id": "latent", "digest": ""}).run(models)


@pytest.mark.parametrize("model", ["pixels", "latent"])
def test_clip_guided_diffusion_works_on_pixels_and_on_latents(models, model):
    for thorough in (False, True):
        parameters = {**QUICK, "thorough": thorough, "perceived": 100.0, "guidance": 2.0}
        (result,) = request(
            "clip-guided-diffusion", model={"id": model, "digest": ""}, parameters=parameters
        ).run(models)
        assert result.recipe["model"]["id"] == model and pixels(result)[..., 3].any()


@pytest.mark.parametrize("method", ["blended-diffusion", "clip-guided-diffusion"])
def test_a_seeds_result_does_not_depend_on_the_others_and_comes_again(models, method):
    more = {"model": {"id": "pixels", "digest": ""}}
    both = {r.seed: pixels(r) for r in request(method, variations=2, seed=3, **more).run(models)}
    (alone,) = request(method, seed=4, **more).run(models)
    assert np.abs(both[4].astype(int) - pixels(alone)).max() <= 1
    (again,) = request(method, seed=4, **more).run(models)
    assert np.array_equal(pixels(again), pixels(alone))
    assert not np.array_equal(both[3], both[4])


@pytest.mark.parametrize("method", ["blended-diffusion", "clip-guided-diffusion"])
def test_clip_ranks_the_variations_of_a_model_that_reads_no_text(models, method):
    hooks = Recorded()
    results = request(method, variations=2, model={"id": "pixels", "digest": ""}).run(models, hooks)
    assert [set(result.place.scores) for result in results] == [{"asked", "seam"}] * 2
    assert results[0].place.scores["asked"] != results[1].place.scores["asked"] and not results[0].note
    assert hooks.stages.count("Ranking") == 2 * 2  # of each variation the picture and the border


def test_an_edit_stops_within_a_step(models):
    with pytest.raises(Cancelled):
        request().run(models, Recorded(cancel_after=2))


def test_a_prompt_that_clip_does_not_read_is_refused(models):
    with pytest.raises(VelaturaError, match="shorten"):
        request(prompt="hat " * 100).run(models)


def guided(models, seeds=(1,), mask=None, **more):
    """(loss of CLIP, largest change outside the mask at any step, latents) of an edit."""
    model = models.get("pixels")
    clip = models.clip()
    image = torch.from_numpy(layer(32, 32)).permute(2, 0, 1)[None] / 127.5 - 1.0
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1.0
    settings = edit.Settings(
        **{"views": whole(clip.side), "steps": 12, "strength": 0.75, "clip": 3e5, "range": 50.0, **more}
    )
    expected: list[torch.Tensor] = []
    with torch.inference_mode():
        z = edit.edited(
            model, clip, image, mask, "a hat", list(seeds), settings, lambda _, z0: expected.append(z0)
        )
        distance = 1.0 - clip.similarity((z * mask + 1.0) / 2.0, ["a hat"])
    outside = max(float(((z0 - image) * (1.0 - mask)).abs().max()) for z0 in [*expected, z])
    return float(distance.mean()), outside, z


@pytest.mark.parametrize("through", [True, False])
def test_guidance_brings_the_selection_nearer_to_the_words(models, through):
    distance, outside, _ = guided(models, through_network=through)
    without, _, _ = guided(models, clip=0.0)
    assert distance < without - 0.01
    assert outside == 0.0  # the source is blended in at every step, and is there at the end


def test_the_background_loss_holds_the_outside_where_nothing_is_blended(models):
    image = torch.from_numpy(layer(32, 32)).permute(2, 0, 1)[None] / 127.5 - 1.0
    free, held = (
        guided(models, clip=0.0, is_blended=False, background=scale, through_network=False, limit=10.0)[2]
        for scale in (0.0, 1e5)
    )
    errors = [float((z - image)[..., 24:, :].square().mean()) for z in (free, held)]
    assert errors[1] < 0.5 * errors[0]
