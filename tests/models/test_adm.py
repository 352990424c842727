"""Checkpoints of guided diffusion: converted, they compute the same; other files are refused."""

import os
import pickle

import pytest
import torch
from diffusers import UNet2DModel

from tests.models.adm_network import ADM
from velatura.cli.main import main
from velatura.models import catalogue, converting_adm, pickles
from velatura_protocol.errors import VelaturaError


def network(**more):
    torch.manual_seed(0)
    made = ADM(**{"channels": (64, 64, 128), "attends": (False, False, True), **more}).eval()
    with torch.no_grad():
        for parameter in made.parameters():  # norms and biases that are not 1 and 0
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made


def same(made, side, labels=(), label=None):
    """Compares a network with its conversion, in memory."""
    unet = UNet2DModel(**converting_adm.configuration(made.state_dict())).eval()
    unet.load_state_dict(converting_adm.renamed(made.state_dict(), label))
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([37.0, 842.0])
    with torch.no_grad():
        wanted = made(x, t, *([torch.tensor(labels)] if labels else []))
        torch.testing.assert_close(unet(x, t).sample, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("more", [{}, {"blocks": 2, "attends": (False, True, True)}, {"out": 3}])
def test_a_converted_network_computes_the_same(more):
    same(network(**more), 32)


def test_the_network_of_64_pixels_has_the_newer_attention():
    made = network(channels=(64, 64, 64, 128), attends=(False, False, False, True), together=True)
    same(made, 64)


def test_a_class_is_folded_in():
    made = network(classes=5)
    same(made, 32, (3, 3), 3)
    with pytest.raises(VelaturaError, match="classes 0 to 4"):
        converting_adm.renamed(made.state_dict(), 6)
    with pytest.raises(VelaturaError, match="knows no classes"):
        converting_adm.renamed(network().state_dict(), 1)
    with torch.no_grad():
        made.label_emb.weight[:] = made.label_emb.weight.mean(0)
    same(made, 32, (0, 1))


def test_a_folder_with_files_is_left_alone(tmp_path):
    with pytest.raises(VelaturaError, match="has files already"):
        converting_adm.convert(tmp_path / "adm.pt", tmp_path / "..")


class Runs:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Runs()}, tmp_path / "bad.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Runs()))
    for name in ("bad.pt", "plain.pt"):
        with pytest.raises(VelaturaError, match="cannot be read as weights alone"):
            pickles.tensors(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_small_file_that_asks_for_much_memory_is_refused(tmp_path):
    torch.save({"x": torch.zeros(1).expand(1 << 40)}, tmp_path / "wide.pt")  # 4 TiB once it is copied
    with pytest.raises(VelaturaError, match="cannot be read as weights alone"):
        pickles.tensors(tmp_path / "wide.pt")


def test_the_command_converts_to_a_model_and_says_what_to_do_next(tmp_path, capsys):
    made = network(channels=(64, 64, 64, 64), attends=(False, False, False, True))
    torch.save(made.state_dict(), tmp_path / "adm.pt")
    assert main(["models", "convert", str(tmp_path / "adm.pt"), str(tmp_path / "new")]) == 0
    assert "velatura models add" in capsys.readouterr().out
    entry = catalogue.add(tmp_path / "state", "adm", str(tmp_path / "new"))
    assert (entry.kind, entry.size) == ("pixels", 64)
    assert "squaredcos" in (tmp_path / "new" / "scheduler" / "scheduler_config.json").read_text()
    assert UNet2DModel.from_pretrained(tmp_path / "new" / "unet").config["out_channels"] == 6


def test_other_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "tensors", lambda path: {"x": torch.zeros(2)})
    with pytest.raises(VelaturaError, match="choose another one"):
        converting_adm.convert(tmp_path / "other.pt", tmp_path / "other")
