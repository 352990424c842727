"""Training of the embedded model: its mathematics against closed forms, each part for a few steps."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from velatura.training.__main__ import build_parser
from velatura.training.autoencoder import moment_loss, pixel_weights, reconstruction_losses, train_autoencoder
from velatura.training.data import load_dataset
from velatura.training.decoder import train_decoder
from velatura.training.diffusion import stratified_times, train_diffusion, velocity
from velatura.training.export import export_bundle
from velatura.training.judge import Judge, export_judge, load_judge, targets, train_judge
from velatura.training.loop import Ema, Options, Progress, launch, load_checkpoint
from velatura.training.maps import map_loss, record_maps
from velatura.training.measure import load_bundle, masked_edit, sample
from velatura.training.networks import SCHEDULER, TOKENS, make_unet
from velatura.training.text import make_text
from velatura.world import ATTRIBUTES, caption, sample_scene, vocabulary


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("training")


def options(work: Path, samples: int) -> Options:
    return Options(work, samples=samples, pictures=6, processes=1, batch=2, school=2)


def test_every_word_is_one_token_and_ids_are_the_tokenizers(work):
    wording, _ = make_text(work)
    rng = np.random.default_rng(3)
    assert all(len(wording.tokenizer(word).input_ids) == 3 for word in vocabulary())
    captions = [caption(sample_scene(rng), rng) for _ in range(100)]
    ours = wording.tokens(captions)
    theirs = wording.tokenizer(
        [item.text for item in captions], padding="max_length", max_length=TOKENS
    ).input_ids
    assert ours.tolist() == theirs
    assert max(len(wording.tokenizer(item.text).input_ids) for item in captions) <= TOKENS


def test_any_text_has_tokens(work):
    wording, _ = make_text(work)
    assert wording.end not in wording.tokenizer("Zebra 雪 é!").input_ids[1:-1]


def test_words_of_an_element_are_marked_where_they_stand(work):
    wording, _ = make_text(work)
    item = caption(sample_scene(np.random.default_rng(3)))
    marks = wording.words([item])[0]
    ids = wording.tokens([item])[0]
    for element in range(len(marks)):
        for token in marks[element].nonzero().flatten().tolist():
            assert ids[token] == wording.ids[item.words[token - 1].text]
    assert marks.sum() == sum(bool(word.element) for word in item.words)


def test_map_loss_of_an_even_map_has_a_closed_form():
    places, tokens = 4, 5
    probabilities = torch.full((1, places, tokens), 1.0 / tokens)
    shares = torch.tensor([[[1.0, 0.5, 0.0, 0.0]]])
    words = torch.tensor([[[0, 1, 1, 0, 0]]])
    expected = -math.log(1.0 / tokens) - math.log(1.0 - 2.0 / tokens)
    assert map_loss(probabilities, shares, words).item() == pytest.approx(expected, rel=1e-3)


def test_map_loss_is_zero_for_a_word_that_points_and_ignores_what_is_not_worded():
    probabilities = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    shares = torch.tensor([[[1.0, 0.0], [0.3, 0.7]]])
    words = torch.tensor([[[0, 1], [0, 0]]])
    assert map_loss(probabilities, shares, words).item() == pytest.approx(0.0, abs=1e-4)
    assert map_loss(probabilities.flip(1), shares, words).item() > 10.0


def test_recording_changes_nothing_and_is_taken_off():
    torch.manual_seed(0)
    unet = make_unet().eval()
    inputs = torch.randn(2, 8, 16, 16), torch.tensor([10, 900]), torch.randn(2, TOKENS, 128)
    with torch.no_grad():
        plain = unet(*inputs).sample
        with pytest.raises(KeyError), record_maps(unet) as maps:
            recorded = unet(*inputs).sample
            raise KeyError
        after = unet(*inputs).sample
    torch.testing.assert_close(recorded, plain, atol=1e-4, rtol=1e-4)
    assert torch.equal(after, plain)
    assert [tuple(item.shape) for item in maps] == [
        (2, n, TOKENS) for n in (256, 64, 16, 64, 64, 256, 256)
    ] or len(maps) == 7
    torch.testing.assert_close(maps[0].sum(-1), torch.ones(2, maps[0].shape[1]))


def test_velocity_is_diffusers_velocity_and_gives_the_picture_back():
    scheduler = DDIMScheduler(**SCHEDULER)
    x0, noise = torch.randn(3, 8, 4, 4), torch.randn(3, 8, 4, 4)
    times = torch.tensor([0, 400, 999])
    alphas = scheduler.alphas_cumprod[times]
    noisy, v = velocity(x0, noise, alphas)
    torch.testing.assert_close(noisy, scheduler.add_noise(x0, noise, times))
    torch.testing.assert_close(v, scheduler.get_velocity(x0, noise, times))
    a = alphas.view(-1, 1, 1, 1)
    torch.testing.assert_close(a.sqrt() * noisy - (1 - a).sqrt() * v, x0, atol=1e-5, rtol=1e-4)
    assert alphas[-1] == 0.0


def test_times_cover_every_part_once():
    for _ in range(20):
        assert sorted((stratified_times(8, 1000) // 125).tolist()) == list(range(8))


def test_reconstruction_losses_see_colour_and_edges():
    grey, shares = torch.zeros(1, 3, 128, 128), torch.full((1, 8, 32, 32), 0.125)
    weight = pixel_weights(shares)
    torch.testing.assert_close(weight.mean(), torch.tensor(1.0))
    same, tinted = (reconstruction_losses(grey + shift, grey, weight) for shift in (0.0, 0.2))
    assert float(sum(same.values())) == 0.0
    assert tinted["colour"].item() == pytest.approx(0.2)
    assert tinted["edge"].item() == 0.0


def test_moment_loss_wants_unit_deviation():
    rows = torch.randn(64, 8, 8, 8)
    assert moment_loss(rows) < 0.01 < 1.0 < moment_loss(3.0 * rows + 1.0)


def test_ema_moves_towards_the_parameters():
    layer = torch.nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(0.0)
    ema = Ema(layer, 0.9)
    layer.weight.data.fill_(1.0)
    for _ in range(200):
        ema.update()
    assert ema.state["weight"].item() == pytest.approx(1.0, abs=1e-3)
    assert ema.full_state()["weight"].item() == ema.state["weight"].item()


def test_the_rate_warms_up_holds_and_falls(work):
    progress = Progress(options(work, 100), rank=1)
    rates = []
    for fraction in (0.0, 0.3, 0.5, 0.8, 1.0):
        progress.fraction = fraction
        rates.append(progress.rate())
    assert rates[0] < rates[1] == rates[2] == 1.0 > rates[3] > rates[4] == pytest.approx(0.02)


def test_the_training_set_is_kept_and_labelled(work):
    data, again = (load_dataset(work, 7, 6, 1) for _ in range(2))
    assert np.array_equal(data.pictures, again.pictures)
    for index in range(6):
        scene, label = data.scene(index), targets(data, index)
        assert all(k == -100 or ATTRIBUTES[name][k] == getattr(scene, name) for name, k in label.items())
        assert label["background"] >= 0 or "background" not in data.visible(index)


def test_every_part_trains_and_goes_on_and_the_bundle_loads(work, tmp_path):
    parts = {
        "judge": train_judge,
        "autoencoder": train_autoencoder,
        "decoder": None,
        "diffusion": train_diffusion,
    }
    parts["decoder"] = train_decoder
    for name, worker in parts.items():
        launch(worker, options(work, 4))
        first = load_checkpoint(work / f"{name}.pt")
        launch(worker, options(work, 8))
        second = load_checkpoint(work / f"{name}.pt")
        assert (first["samples"], second["samples"]) == (4, 8), name
        assert second["count"] == 4, name
        moved = [
            not torch.equal(first["model"][key], value)
            for key, value in second["model"].items()
            if value.is_floating_point()
        ]
        assert sum(moved) > len(moved) / 2, name
    export_bundle(work, tmp_path / "mini")
    export_judge(work, tmp_path / "judge")
    assert isinstance(load_judge(tmp_path / "judge"), Judge)
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "mini")
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a man", num_inference_steps=2).images[0].size == (128, 128)
    model = load_bundle(tmp_path / "mini")
    assert (model.size, model.prompt_tokens, model.prediction) == (128, TOKENS, "v_prediction")
    assert sample(model, ["a man", "a woman with glasses"], [1, 2], 3.0, 2).shape == (2, 3, 128, 128)
    before, mask = torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    mask[..., 32:64, 32:64] = 1.0
    after = masked_edit(model, before, mask, "a man", [1, 2], steps=4)
    assert after.shape == (2, 3, 128, 128)
    assert torch.equal(after[..., 64:, :], before[..., 64:, :].expand(2, -1, -1, -1))


def test_a_part_without_its_forerunner_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run `python -m velatura\.training diffusion` first"):
        export_bundle(tmp_path, tmp_path / "bundle")


@pytest.mark.parametrize(
    "part", ["tokenizer", "judge", "autoencoder", "decoder", "diffusion", "export", "evaluate"]
)
def test_every_command_explains_itself(part, capsys):
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args([part, "--help"])
    assert left.value.code == 0
    assert "--work" in capsys.readouterr().out
