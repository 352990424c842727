"""Training of the embedded model: words and sets, and each part for a few steps."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel

from velatura.cli.main import main
from velatura_lab.training.autoencoder import train_autoencoder
from velatura_lab.training.captions import load_captions
from velatura_lab.training.data import KIND_NAMES, digest, load_dataset, world_digest
from velatura_lab.training.decoder import train_decoder
from velatura_lab.training.diffusion import train_diffusion
from velatura_lab.training.ema import Ema
from velatura_lab.training.export import BUNDLE, export_bundle
from velatura_lab.training.latents import load_autoencoder
from velatura_lab.training.loop import Progress, Trainer, launch, load_checkpoint, save_checkpoint
from velatura_lab.training.networks import PROFILES, TOKENS, make_autoencoder, make_unet
from velatura_lab.training.options import Options
from velatura_lab.training.parts import TRAINED
from velatura_lab.training.text import NO_ELEMENT, element_classes, make_text, word_marks
from velatura_lab.training.tokenizer import load_tokenizer
from velatura_lab.training.vq import train_vq
from velatura_lab.training.warm import (
    UNET_GROW,
    fitted,
    fitted_autoencoder,
    fitted_decoder,
    warm_start,
    warm_start_autoencoder,
    warm_start_text,
)
from velatura_lab.world import KINDS, Caption, Word, caption, elements, sample_scene, vocabulary

PARTS = {
    "autoencoder": train_autoencoder,
    "decoder": train_decoder,
    "diffusion": train_diffusion,
    "vq": train_vq,
}
#: The gpu profile's way through the code, at a size that a core trains in a second.
SMALL = replace(
    PROFILES["gpu"],
    device="cpu",
    size=64,
    latent_channels=4,
    vae_width=32,
    unet=(32, 32),
    unet_depth=1,
    decoder_width=40,
    vq=(8, 16, 16, 16),
)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder in which a tiny set is drawn."""
    folder = tmp_path_factory.mktemp("training")
    load_dataset(folder, 7, 6, 1, SMALL.size)
    return folder


def options(work: Path, samples: int, **changes) -> Options:
    given = {"pictures": 6, "processes": 1, "batch": 2, "school": 2, "profile": SMALL, **changes}
    return Options(work, samples=samples, **given)


# Words


def test_every_word_is_one_token_and_ids_are_the_tokenizers(work):
    wording, *_ = make_text(work)
    rng = np.random.default_rng(3)
    assert all(len(wording.tokenizer(word).input_ids) == 3 for word in vocabulary())
    captions = [caption(sample_scene(rng), rng) for _ in range(100)]
    ours = wording.tokens(captions)
    theirs = wording.tokenizer(
        [item.text for item in captions], padding="max_length", max_length=TOKENS
    ).input_ids
    assert ours.tolist() == theirs
    assert max(len(wording.tokenizer(item.text).input_ids) for item in captions) <= TOKENS


def test_new_words_are_taken_in_unless_a_network_knows_the_old_ones_by_number(tmp_path):
    folder = tmp_path / "tokenizer"
    load_tokenizer(folder)
    ids = json.loads((folder / "vocab.json").read_text())
    merges = (folder / "merges.txt").read_text()
    older = {token: number for token, number in ids.items() if token != "castle</w>"}
    lines = [line for line in merges.splitlines() if "".join(line.split()) != "castle</w>"]

    def from_before():
        (folder / "vocab.json").write_text(json.dumps(older))
        (folder / "merges.txt").write_text("\n".join(lines) + "\n")

    from_before()
    wording, *_ = make_text(tmp_path)
    assert wording.row(Caption((Word("castle", "castle"),)))[1] == ids["castle</w>"]
    from_before()
    (tmp_path / "diffusion.pt").touch()
    wording, *_ = make_text(tmp_path)
    assert wording.row(Caption((Word("house", "house"),)))[1] == ids["house</w>"]
    with pytest.raises(ValueError, match=r"without the word 'castle'; .* in another folder"):
        wording.row(Caption((Word("castle", "castle"),)))


def test_any_text_has_tokens(work):
    wording, *_ = make_text(work)
    assert wording.end not in wording.tokenizer("Zebra 雪 é!").input_ids[1:-1]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_words_of_an_element_are_marked_where_they_stand(kind):
    item = caption(sample_scene(np.random.default_rng(3), kind))
    marks = word_marks(torch.tensor([element_classes(item, kind)]))[0]
    for element, token in marks.nonzero().tolist():
        assert item.words[token - 1].element == elements(kind)[element]
    assert marks.sum() == sum(bool(word.element) for word in item.words)


def test_wordings_are_kept_and_some_are_left_out(work):
    data = load_dataset(work, 7, 6, 1, SMALL.size)
    captions, again = (load_captions(data, work, 1) for _ in range(2))
    assert np.array_equal(captions.tokens, again.tokens)
    wording, *_ = make_text(work)
    words = {number: word for word, number in wording.ids.items()}
    for index in range(len(data)):
        for tokens, classes in zip(captions.tokens[index], captions.classes[index], strict=True):
            assert {words[t] for t in tokens if t in words} <= KINDS[data.scene(index).kind].vocabulary()
            seen = {elements(data.scene(index))[c] for c in classes if c != NO_ELEMENT}
            assert seen <= data.visible(index)
    (kept,) = data.folder.glob("captions-*")
    assert np.array_equal(np.load(kept)[:, :, 0], captions.tokens)
    tokens, classes = captions.draw(np.zeros(2000, int), np.random.default_rng(0))
    empty = (tokens == torch.tensor(captions.empty)).all(1)
    assert 0.08 < empty.float().mean() < 0.16
    assert (classes[empty] == NO_ELEMENT).all()


def test_wordings_are_kept_whole_or_not_at_all(work, tmp_path, monkeypatch):
    data = replace(load_dataset(work, 7, 6, 1, SMALL.size), folder=tmp_path)

    def interrupted(path, table):
        Path(path).write_bytes(table.tobytes()[:100])
        raise KeyboardInterrupt

    for name in ("pictures", "masks", "kinds"):
        (tmp_path / f"{name}.npy").symlink_to(load_dataset(work, 7, 6, 1, SMALL.size).folder / f"{name}.npy")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "save", interrupted)
        load_captions(data, work, 1)
    assert len(load_captions(data, work, 1).tokens) == 6


# Warm starts


def test_a_widened_autoencoder_first_does_what_the_old_one_did(monkeypatch):
    torch.manual_seed(0)
    old, wide = make_autoencoder(SMALL), make_autoencoder(replace(SMALL, latent_channels=6))
    monkeypatch.setattr("velatura_lab.training.warm.NEW_LATENTS", 0.0)
    wide.load_state_dict(fitted_autoencoder(old.state_dict(), wide))
    images = torch.rand(2, 3, 64, 64) * 2.0 - 1.0
    with torch.no_grad():
        before, after = old.encode(images).latents, wide.encode(images).latents
        torch.testing.assert_close(after[:, :4], before)
        assert after[:, 4:].std() > 0.05 * before.std()
        torch.testing.assert_close(wide.decode(after).sample, old.decode(before).sample)


def test_a_widened_unet_first_does_what_the_old_one_did():
    torch.manual_seed(0)
    old, wide = make_unet(SMALL).eval(), make_unet(replace(SMALL, latent_channels=6)).eval()
    wide.load_state_dict(fitted(old.state_dict(), wide, UNET_GROW))
    x, t, context = torch.randn(1, 6, 8, 8), torch.tensor([400]), torch.randn(1, TOKENS, 128)
    with torch.no_grad():
        torch.testing.assert_close(wide(x, t, context).sample[:, :4], old(x[:, :4], t, context).sample)


def test_what_does_not_fit_is_left_alone():
    old, *others = (
        make_autoencoder(replace(SMALL, **changes))
        for changes in (
            {},
            {"latent_channels": 2},
            {"vae_width": 48},
            {"decoder_width": 32},
            {"decoder_blocks": (3, 2, 1, 1)},
        )
    )
    assert [fitted_autoencoder(old.state_dict(), other) for other in others] == [None] * 4
    unet = make_unet(SMALL)
    assert not warm_start(unet, None, "unet", UNET_GROW)
    assert not warm_start(unet, Path("/nowhere"), "unet", UNET_GROW)
    assert not warm_start_autoencoder(old, None)
    assert not warm_start_autoencoder(old, Path("/nowhere"))


def test_a_larger_decoder_first_does_what_the_old_one_did_and_learns_with_all_it_has():
    torch.manual_seed(0)
    old, large = (
        make_autoencoder(replace(SMALL, decoder_width=width, decoder_blocks=blocks)).decoder
        for width, blocks in ((32, (3, 2, 1, 1)), (40, (3, 3, 2, 1)))
    )
    large.load_state_dict(fitted_decoder(old.state_dict(), large))
    z, goal = torch.randn(2, 4, 8, 8), torch.zeros(2, 3, 64, 64)
    torch.testing.assert_close(large(z), old(z))
    before = {name: value.clone() for name, value in large.named_parameters()}
    optimiser = torch.optim.SGD(large.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        (large(z) - goal).square().mean().backward()
        optimiser.step()
    unmoved = [name for name, value in large.named_parameters() if torch.equal(value, before[name])]
    assert not unmoved


def test_the_shipped_bundle_is_what_training_begins_with(work):
    unet, vae = make_unet(PROFILES["cpu"]), make_autoencoder(PROFILES["cpu"])
    assert warm_start(unet, BUNDLE, "unet", UNET_GROW)
    assert warm_start_autoencoder(vae, BUNDLE)
    shipped = UNet2DConditionModel.from_pretrained(BUNDLE / "unet")
    assert torch.equal(unet.mid_block.resnets[0].conv1.weight, shipped.mid_block.resnets[0].conv1.weight)
    wording, encoder, warm = make_text(work, BUNDLE)
    assert warm
    _, other, cold = make_text(work, None)
    assert not cold
    ids = wording.tokenizer.get_vocab()
    assert warm_start_text(other, ids, BUNDLE)
    # words that the bundle knows keep their embeddings whatever their number
    rows = [item.get_input_embeddings().weight[ids["hair</w>"]] for item in (encoder, other)]
    assert torch.equal(*rows)


# Running


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


def test_drawing_goes_on_where_it_was_interrupted(work, tmp_path):
    whole = load_dataset(work, 7, 6, 1, SMALL.size)
    again = load_dataset(tmp_path, 7, 6, 1, SMALL.size)
    folder = again.folder
    np.save(folder / "drawn.npy", np.zeros(1, bool))
    np.load(folder / "pictures.npy", mmap_mode="r+")[3:] = 0
    again = load_dataset(tmp_path, 7, 6, 1, SMALL.size)
    for name in ("pictures", "masks", "kinds"):
        assert np.array_equal(getattr(whole, name), getattr(again, name)), name
    for index in range(6):
        assert KIND_NAMES[whole.kinds[index]] == whole.scene(index).kind
    indices = np.arange(6)
    torch.testing.assert_close(whole.shares(indices).sum(1), torch.ones(6, 32, 32), atol=0.04, rtol=0)
    held = replace(whole, **{n: torch.from_numpy(np.array(getattr(whole, n))) for n in ("pictures", "masks")})
    assert torch.equal(held.images(indices), whole.images(indices))


def test_what_another_world_drew_is_not_taken_for_ours(work, tmp_path):
    (tmp_path / "kind").mkdir()
    files = tmp_path / "scene.py", tmp_path / "kind" / "paint.py"
    for file in files:
        file.write_text("RED = 1\n")
    first = digest(tmp_path)
    (tmp_path / "notes.txt").write_text("of no matter")
    assert digest(tmp_path) == first
    files[1].write_text("RED = 2\n")
    second = digest(tmp_path)
    files[1].rename(tmp_path / "kind" / "brush.py")
    assert len({first, second, digest(tmp_path)}) == 3
    assert world_digest() in load_dataset(work, 7, 6, 1, SMALL.size).folder.name


def test_every_part_goes_on_bit_for_bit_and_the_model_loads(work, tmp_path):
    """Two steps, then two more, are four steps; a bundle comes of it that stock diffusers runs."""
    for name, worker in PARTS.items():
        launch(worker, options(work, 8, stop_after=0.0))
        first = load_checkpoint(work / f"{name}.pt")
        assert first["samples"] == 2, name
        assert first["options"]["from"] == "scratch", name
        older = {key: value for key, value in first.items() if key not in ("options", "hardware")}
        save_checkpoint(work / f"{name}.pt", older)
        launch(worker, options(work, 8))
        parted = load_checkpoint(work / f"{name}.pt")
        assert (parted["samples"], parted["count"]) == (8, 4), name
        assert parted["options"]["batch"] == 2 and parted["hardware"], name
        (work / f"{name}.pt").unlink()
        launch(worker, options(work, 8))
        whole = load_checkpoint(work / f"{name}.pt")
        for state in ("model", "ema"):
            for key, value in whole[state].items():
                assert torch.equal(parted[state][key], value), (name, state, key)
        moved = [
            not torch.equal(first["model"][k], v) for k, v in whole["model"].items() if v.is_floating_point()
        ]
        assert sum(moved) > len(moved) / 2, name
    latents = [path.name for path in work.glob("latents-*")]
    assert latents and all(world_digest() in name for name in latents)
    export_bundle(work, tmp_path / "mini")
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "mini")
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a man", num_inference_steps=2).images[0].size == (SMALL.size, SMALL.size)
    vae = AutoencoderTiny.from_pretrained(tmp_path / "mini" / "vae")
    assert vae.config.latent_channels == SMALL.latent_channels


def test_an_autoencoder_of_no_samples_is_the_bundles_in_a_decoder_as_large_as_the_profile_says(tmp_path):
    profile = PROFILES["cpu"]
    launch(train_autoencoder, options(tmp_path, 0, start=BUNDLE, profile=profile, pictures=2))
    kept, shipped = load_autoencoder(tmp_path), AutoencoderTiny.from_pretrained(BUNDLE / "vae").float()
    assert kept.config.decoder_block_out_channels == (profile.decoder_width,) * 4
    z = torch.randn(1, profile.latent_channels, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(kept.decode(z).sample, shipped.decode(z).sample)
    for key, value in shipped.encoder.state_dict().items():
        assert torch.equal(kept.encoder.state_dict()[key], value), key


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    Trainer("judge", torch.nn.Linear(2, 2), options(tmp_path, 8), 0).save()
    Trainer("judge", torch.nn.Linear(2, 2), options(tmp_path, 8), 0)
    with pytest.raises(ValueError, match=r"judge\.pt is of another network.* move it elsewhere"):
        Trainer("judge", torch.nn.Linear(2, 3), options(tmp_path, 8), 0)


def test_a_part_without_its_forerunner_says_so(tmp_path, capsys):
    assert main(["train", "export", "--work", str(tmp_path)]) != 0
    assert "run `velatura train diffusion` first" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="run `velatura train autoencoder` first"):
        launch(train_decoder, options(tmp_path, 8))


@pytest.mark.parametrize("part", ["autoencoder", "diffusion", "judge"])
def test_a_bundle_to_begin_with_must_have_the_weights(part, tmp_path, capsys):
    assert main(["train", part, "--work", str(tmp_path), "--from", str(tmp_path)]) != 0
    assert "give --from the folder of a bundle like velatura-" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert (BUNDLE.parent / TRAINED[part].start).exists()


@pytest.mark.parametrize("part", ["", "pictures", "tokenizer", *TRAINED, "readers", "export", "evaluate"])
def test_every_command_explains_itself(part, capsys):
    assert main(["train", *([part] if part else []), "--help"]) == 0
    shown = capsys.readouterr().out
    assert ("--work" if part else "interrupted") in shown
    assert ("bit for bit" in " ".join(shown.split())) == (part in TRAINED)


@pytest.mark.timeout(180)
def test_processes_save_and_end_when_their_command_is_killed(tmp_path):
    command = [sys.executable, "-m", "velatura", "train", "judge", "--work", str(tmp_path)]
    command += ["--pictures", "8", "--batch", "2", "--minutes", "5", "--processes", "2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as running:
        shown = b""
        while b" samples, " not in shown:  # the bar that the processes draw, not their command
            piece = os.read(running.stderr.fileno(), 4096)
            assert piece, shown.decode()
            shown += piece
        running.kill()
        shown += running.stderr.read()  # until the last process that holds it has ended
    assert load_checkpoint(tmp_path / "judge.pt")["samples"] > 0, shown.decode()
