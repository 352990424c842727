"""Instructions on a tiny model of each family that follows them, through `execute`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.models import flows
from tests.tiny import tiny_model
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_flux2 import tiny_flux2
from tests.tiny_qwen_image import tiny_qwen_image
from tests.tiny_sdxl import with_unet
from velatura.diffusion import noise, samplers, schedule
from velatura.diffusion.denoiser import guided
from velatura.methods.base import Cancelled
from velatura.methods.checks import lacking
from velatura.methods.execute import execute
from velatura.methods.instruct import Instruct, _told
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.families import flux1, flux2, qwen_image, sd
from velatura.models.recognition import Found
from velatura.models.store import ModelStore
from velatura.models.traits import INSTRUCTS
from velatura.reconstruction.registration import Placement, Registration
from velatura_protocol.errors import VelaturaError

SIZE, STEPS = (64, 96), 4
MASK = box(*SIZE, (16, 56), (20, 80))
FAMILIES = {
    "flux1": lambda folder: flows.loaded(flux1.load, tiny_flux1(folder, kontext=True)),
    "flux2": lambda folder: flows.loaded(flux2.load, tiny_flux2(folder, distilled=True)),
    "qwen-image": lambda folder: flows.loaded(
        qwen_image.load, tiny_qwen_image(folder / "Qwen-Image-Edit", "QwenImageEditPipeline")
    ).changed("", steps=STEPS),
    "sd": lambda folder: flows.loaded(sd.load, with_unet(tiny_model(folder, vae="tiny"), in_channels=8)),
}


class Following(ModelStore):
    """A store with this model loaded, which is known to follow instructions."""

    def __init__(self, model, path):
        found = Found("flux1", "folder", path, 64, frozenset({INSTRUCTS}))
        super().__init__([ModelEntry("follows", "Follows", "diffusers", "", 64, found=found)])
        self._loaded = self.entry(), model


@pytest.fixture(scope="module", params=FAMILIES)
def store(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return Following(FAMILIES[request.param](folder), folder)


def ask(mask=MASK, parameters=None, further=(), **fields):
    given = {"steps": STEPS, "keep": False, "guidance": 2.5, **(parameters or {})}
    edit = Edit(
        picture(*SIZE, dtype=fields.pop("dtype", "u8")),
        mask,
        method="instruct",
        prompt="make the hat red",
        parameters=given | {"pictures": [{"picture": f"picture-{i}"} for i in range(len(further))]},
        **fields,
    )
    for i, other in enumerate(further):
        edit.request["inputs"][f"picture-{i}"] = edit._raster(other, "RGBA", "sRGB", (0, 0))
    return edit


def run(store, *arguments, hooks=None, **fields):
    edit = ask(*arguments, **fields)
    return execute(edit.request, edit.blobs.__getitem__, store, hooks or Recorded())


@pytest.mark.parametrize("mask", [MASK, None])
def test_at_0_nothing_changes(store, mask):
    (layer,) = run(store, mask, {"strength": 0.0, "keep": True})
    x, y, w, h = layer.raster["rect"]
    alpha = pixels(layer)[..., 3:] > 0
    assert (
        alpha.any() and (pixels(layer) * alpha == picture(*SIZE)[y : y + h, x : x + w] * alpha)[..., :3].all()
    )


def test_outside_of_the_selection_every_byte_stays_and_a_run_is_repeated_to_the_byte(store):
    (layer,), (again,) = run(store), run(store)
    assert layer.data == again.data
    assert flows.outside(picture(*SIZE), MASK, layer) == 0
    x, y, w, h = layer.raster["rect"]
    inside = MASK[y : y + h, x : x + w] > 0
    assert np.abs(pixels(layer).astype(int) - picture(*SIZE)[y : y + h, x : x + w])[inside][:, :3].max() > 10


def test_a_variation_does_not_depend_on_its_batch(store):
    two = run(store, None, variations=2, dtype="f32")
    (one,) = run(store, None, seed=8, dtype="f32")
    np.testing.assert_allclose(pixels(two[1]), pixels(one), atol=2e-4)
    assert np.abs(pixels(two[0]) - pixels(two[1])).max() > 1e-2


def test_at_100_it_is_what_the_model_makes_of_the_layer(store, monkeypatch):
    """The layer is the reference picture, and the prompt the instruction."""
    plain, made = Instruct.run, []
    monkeypatch.setattr(
        Instruct,
        "run",
        lambda self, inputs, *more: made.append((inputs, plain(self, inputs, *more))) or made[0][1],
    )
    run(store, None, {"in_place": False})
    ((inputs, found),) = made
    model, scale = store.get(), 2.5
    model = model.prepared(inputs.image, inputs.mask)
    if model.embeds_guidance:
        model = model.at_guidance(scale)
    if model.embeds_guidance or not model.takes_guidance:
        scale = 1.0
    sigmas = schedule.sigmas(model.training_sigmas, STEPS)
    n = noise.standard_normal([7], (model.latent_channels, *(side // model.factor for side in inputs.size)))
    D = guided(model.referring([inputs.image]), "make the hat red", "", scale)
    with torch.inference_mode():
        z = samplers.euler(D, sigmas[0] * n, sigmas, lambda x, step: x)
        torch.testing.assert_close(found, model.decode(z), rtol=0.0, atol=1e-4)


def test_strength_and_further_pictures_matter_or_are_refused(store):
    (whole,) = run(store, None)
    (half,), (more,) = (run(store, None, {"strength": strength}) for strength in (50.0, 150.0))
    assert len({whole.data, half.data, more.data}) == 3
    other = picture(48, 32, seed=4)
    if store.get().most_references > 1:
        (beside,) = run(store, None, further=[other])
        assert beside.data != whole.data
    most = store.get().most_references
    with pytest.raises(VelaturaError, match="beside the layer; remove some of the further") as caught:
        run(store, None, further=[other] * most)
    assert caught.value.code == "bad-request"


def test_a_draft_shows_it_and_a_run_stops_within_a_step(store):
    hooks = Recorded()
    assert run(store, draft=True, hooks=hooks) == [] and len(hooks.previews) > 0
    hooks = Recorded(cancel_after=2)
    with pytest.raises(Cancelled):
        run(store, hooks=hooks)
    assert hooks.steps == [(1, STEPS), (2, STEPS)]


def test_the_note_tells_of_the_place(store):
    (told,) = run(store, None)
    assert "the picture" in told.note
    (off,) = run(store, None, {"in_place": False})
    assert "the picture" not in off.note


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([None], "Too little stayed the same"),
        ([Registration(Placement(), 0.0)], "did not move the picture; .* to a twentieth of a pixel"),
        (
            [Registration(Placement(1.01, (3.0, -4.0)), 0.12)],
            r"moved the picture by 5\.0 pixels and zoomed it by \+1\.0 %, .* within 0\.1 pixels",
        ),
        (
            [None, *[Registration(Placement(0.99, (3.0, 4.0)), 0.0)] * 2],
            r"by up to 5\.0 pixels .* by -1\.0 %",
        ),
    ],
)
def test_the_note_is_a_sentence(found, sentence):
    import re

    assert re.search(sentence, _told(found, SIZE))


def test_the_likeness_is_the_guidance_by_pictures(store):
    (whole,), (other,) = run(store, None), run(store, None, {"likeness": 2.5})
    assert (whole.data != other.data) == (store.get().picture_guidance is not None)


def test_a_model_that_follows_none_is_refused_before_a_job(models, entries, store):
    (known,) = store._entries()
    assert lacking(registry()["instruct"], known) is None
    for entry in entries:
        assert "needs a" in lacking(registry()["instruct"], entry).message
    sentence = (
        "'Follow an instruction' needs a model that follows instructions.* and 'Tiny' does not; add one"
    )
    with pytest.raises(VelaturaError, match=sentence) as caught:
        run(models)
    assert caught.value.code == "unknown-model" and "Tiny" not in models.loaded()


def test_it_takes_the_model_that_follows_where_none_is_named(models, entries, store):
    (known,) = store._entries()
    both = Following(store.get(), known.found.path)
    both._entries = lambda: [*entries, known]
    assert run(both)[0].data == run(store)[0].data


def test_a_model_at_a_hub_says_nothing_of_itself_until_it_is_here():
    there = ModelEntry("far", "Far", "hub", "someone/kontext", 1024)
    assert lacking(registry()["instruct"], there) is None
