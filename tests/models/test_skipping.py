"""Steps are computed in part only in haste, no trace of it stays, and a picture does not depend on others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.methods.requests import Edit, Recorded, picture
from tests.tiny import tiny_model
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_flux2 import tiny_flux2
from tests.tiny_qwen_image import tiny_qwen_image
from velatura.diffusion import denoiser, samplers, schedule
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.recognition import recognise
from velatura.models.store import ModelStore

pytestmark = pytest.mark.timeout(240)
STEPS = 6


def store(folder):
    found = recognise(folder)
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64, found=found)])


@pytest.fixture(scope="module", params=[tiny_flux1, tiny_qwen_image])
def models(request, tmp_path_factory):
    return store(request.param(tmp_path_factory.mktemp(request.param.__name__)))


@torch.inference_mode()
def sampled(model, tolerance, seed=0):
    """A picture's latents, and how often the last block was computed."""
    count = SimpleNamespace(last=0)
    blocks = [child for child in model.transformer.children() if isinstance(child, torch.nn.ModuleList)]
    last = [block for group in blocks for block in group][-1]

    def counted(*_):
        count.last += 1

    own = next(layer for layer in last.modules() if isinstance(layer, torch.nn.Linear))
    hook = own.register_forward_hook(counted)
    D = denoiser.guided(model, "a red hat")
    sigmas = schedule.sigmas(model.training_sigmas, STEPS)
    side = model.latent_size
    n = torch.randn(1, model.latent_channels, side, side, generator=torch.Generator().manual_seed(seed))
    try:
        with model.skipping(tolerance):
            z = samplers.euler(D, sigmas[0] * n, sigmas, lambda x, _: x)
    finally:
        hook.remove()
    return z, count.last


def test_steps_are_skipped_up_to_a_tolerance_and_no_trace_stays(models):
    model = models.diffusion()
    assert model.can_skip
    plain, whole = sampled(model, 0.0)
    assert whole == STEPS
    none, all_of_them = sampled(model, 1e-9)
    assert all_of_them == STEPS and none.equal(plain), "no step repeats another exactly"
    hasty, first = sampled(model, 1e9)
    assert first == 1 and bool(hasty.isfinite().all()) and not hasty.equal(plain)
    again, whole = sampled(model, 0.0)
    assert again.equal(plain) and whole == STEPS
    assert not model.transformer.is_cache_enabled
    with pytest.raises(ZeroDivisionError), model.skipping(0.1):
        raise ZeroDivisionError
    assert sampled(model, 0.0)[0].equal(plain)


def edited(models, **more):
    parameters = {"steps": STEPS, "guidance": 1.0} | more.pop("parameters", {})
    edit = Edit(picture(64, 64), prompt="a red hat", parameters=parameters, **more)
    return execute(edit.request, edit.blobs.__getitem__, models, Recorded())


def test_a_variation_made_in_haste_is_the_same_alone_and_beside_others(tmp_path):
    models = store(tiny_flux1(tmp_path / "flux1"))
    hasty = {"parameters": {"haste": 0.3, "strength": 1.0}}
    pair = edited(models, variations=2, **hasty)
    for layer in pair:
        assert layer.recipe["parameters"]["haste"] == 0.3
        (alone,) = edited(models, seed=layer.seed, **hasty)
        assert alone.data == layer.data and "haste" not in layer.note


@pytest.mark.parametrize("make", [tiny_model, tiny_flux2])
def test_a_model_that_cannot_says_so(tmp_path, make):
    """The cache of diffusers takes no blocks whose text and picture become one, as those of FLUX.2."""
    models = store(make(tmp_path / "tiny"))
    (hasty,) = edited(models, parameters={"haste": 0.3})
    (plain,) = edited(models)
    assert hasty.data == plain.data and "computes every step in full" in hasty.note
    assert "in full" not in plain.note


def test_only_methods_of_one_pass_a_step_offer_it():
    """Those that read or change attention, or ask twice at one level, would get the answer of another."""
    offering = {id for id, method in registry().items() if "haste" in method.Parameters.model_fields}
    assert offering == {"sdedit", "paint", "instruct"}
