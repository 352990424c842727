"""Checkpoints of StyleGAN2 in the layouts of others are converted to networks that make the same pictures."""

from __future__ import annotations

import argparse
import operator
import os
import pickle
import subprocess
import sys
import warnings

import pytest
import torch

from tests.models import style_reference as plain
from tests.models.style_checkpoints import (
    CHANNELS,
    W,
    ada,
    ada_about,
    ada_module,
    pickled,
    rosinality,
    rosinality_pictures,
)
from velatura.cli.main import main
from velatura.models import catalogue, converting, pickles
from velatura.models.families import style_converting as families
from velatura.models.families import style_files
from velatura.models.families.style_pickles import read
from velatura.models.families.stylegan2 import Shape, StyleGAN2
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(300)


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(**more):
    shape = Shape(**{"z_dim": 12, "c_dim": 0, "w_dim": W, "channels": CHANNELS, "mapping_layers": 3} | more)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = StyleGAN2(shape)
        for name, value in made.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                value.data.add_(0.1 * torch.randn_like(value))
        made.mapping.w_avg.copy_(torch.randn(shape.w_dim))
    return made.requires_grad_(False)


def whole(made, **more):
    """The content of a pickle of stylegan2-ada-pytorch."""
    return lambda: {
        "G": ada_module({"mapping.w_avg": torch.zeros(2)}, {}),
        "D": ada_module({"b4.fc.weight": torch.zeros(2, 2)}, {"b4": {"resolution": 4}}),
        "G_ema": ada_module(ada(made), ada_about(made, **more)),
        "augment_pipe": None,
        "training_set_kwargs": {"class_name": "training.dataset.ImageFolderDataset", "path": "faces.zip"},
    }


def convert(path, folder, label=None):
    """As `converting.convert`, but the file is read in this process, which takes a tenth of the time."""
    with path.open("rb") as file:
        weights, about = pickles._read(file)
    families.convert(path, folder, weights, about, label)


def converted(path, tmp_path, label=None):
    convert(path, tmp_path / "folder", label)
    return style_files.read(tmp_path / "folder")


def as_ada(made, z, c=None, psi=0.7, clamp=None):
    """The pictures of a network of stylegan2-ada-pytorch by the formulas."""
    table, shape = made.state_dict(), made.shape
    w = plain.mapping(table, z, c, layers=shape.mapping_layers, lr=shape.lr_multiplier)
    w = table["mapping.w_avg"] + psi * (w - table["mapping.w_avg"])
    return plain.synthesis(table, w[:, None].expand(-1, shape.num_ws, -1), blocks=len(CHANNELS), clamp=clamp)


@pytest.mark.parametrize("zipped", [True, False])
def test_rosinalitys_pictures_stay_the_same(tmp_path, zipped):
    table, mean, z = rosinality(), normal(W, seed=7), normal(3, W)
    content = {
        "g": {"input.input": torch.zeros(1)},
        "g_ema": table,
        "latent_avg": mean,
        "args": argparse.Namespace(size=16),
        "g_optim": {"state": {0: {"step": 1}}, "param_groups": [{"lr": 0.1}]},
    }
    torch.save(content, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    parts = converted(tmp_path / "net.pt", tmp_path)
    assert (parts.shape.channels, parts.shape.num_ws, parts.size) == (CHANNELS, 6, 16)
    found = parts.generator(z, psi=0.7)
    torch.testing.assert_close(found, rosinality_pictures(table, z, mean, 0.7), rtol=1e-5, atol=1e-5)
    entry = catalogue.add(tmp_path / "state", "mine", str(tmp_path / "folder"))
    assert (entry.generator, entry.size, entry.fault) == ("style", 16, "")


def test_a_checkpoint_of_rosinalitys_without_mean_and_noise_gets_both(tmp_path):
    table = rosinality(noises=False)
    torch.save({"g_ema": table}, tmp_path / "net.pt")
    parts = converted(tmp_path / "net.pt", tmp_path)
    w = parts.generator.mapping(normal(20_000, W, seed=9))
    error = w.std(0) / 20_000**0.5
    assert ((parts.generator.mapping.w_avg - w.mean(0)).abs() < 6 * error).all()
    table |= {
        f"noises.noise_{i}": getattr(parts.generator.synthesis, f"b{side}")
        .get_submodule(conv)
        .noise_const[None, None]
        for i, (side, conv) in enumerate(
            [(4, "conv1"), (8, "conv0"), (8, "conv1"), (16, "conv0"), (16, "conv1")]
        )
    }
    z, mean = normal(2, W), parts.generator.mapping.w_avg
    expected = rosinality_pictures(table, z, mean, 0.7)
    torch.testing.assert_close(parts.generator(z, psi=0.7), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_the_pictures_of_a_pickled_network_stay_the_same_and_its_source_is_not_run(tmp_path, protocol):
    made = network(clamp=1.5, lr_multiplier=0.05)
    (tmp_path / "net.pkl").write_bytes(pickled(whole(made), protocol))
    parts = converted(tmp_path / "net.pkl", tmp_path)
    assert parts.shape == made.shape
    z = normal(3, 12)
    torch.testing.assert_close(parts.generator(z, psi=0.7), as_ada(made, z, clamp=1.5), rtol=1e-5, atol=1e-5)


def test_a_network_with_classes_keeps_them_or_is_fixed_to_one(tmp_path):
    made = network(c_dim=4)
    (tmp_path / "net.pkl").write_bytes(pickled(whole(made)))
    parts = converted(tmp_path / "net.pkl", tmp_path)
    z, c = normal(2, 12), torch.eye(4)[[1, 3]]
    torch.testing.assert_close(parts.generator(z, c, psi=0.7), as_ada(made, z, c), rtol=1e-5, atol=1e-5)
    assert parts.labels is None
    convert(tmp_path / "net.pkl", tmp_path / "second", 2)
    assert torch.equal(style_files.read(tmp_path / "second").labels, torch.eye(4)[2:3])
    with pytest.raises(VelaturaError, match="knows the classes 0 to 3"):
        convert(tmp_path / "net.pkl", tmp_path / "third", 4)
    (tmp_path / "plain.pkl").write_bytes(pickled(whole(network())))
    with pytest.raises(VelaturaError, match="knows no classes"):
        convert(tmp_path / "plain.pkl", tmp_path / "third", 0)
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_state_dict_is_converted_too(tmp_path, wrapped):
    made = network()
    table = ada(made)
    torch.save({"G_ema": table, "cur_nimg": 3} if wrapped else table, tmp_path / "net.pt")
    parts = converted(tmp_path / "net.pt", tmp_path)
    z = normal(2, 12)
    torch.testing.assert_close(parts.generator(z, psi=0.7), as_ada(made, z), rtol=1e-5, atol=1e-5)
    assert parts.shape.clamp == 256.0


def test_a_network_without_noise_gets_none(tmp_path):
    made = network()
    for name, value in made.named_parameters():
        if name.endswith("noise_strength"):
            value.zero_()
    table = {name: value for name, value in ada(made).items() if "noise" not in name}
    torch.save(table, tmp_path / "net.pt")
    parts = converted(tmp_path / "net.pt", tmp_path)
    z = normal(2, 12)
    torch.testing.assert_close(parts.generator(z, psi=0.7), as_ada(made, z), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"synthesis__b8": {"architecture": "resnet"}},
        {"mapping__fc0": {"activation": "relu"}},
        {"mapping__fc1": {"activation": "linear"}},
        {"synthesis__b8__conv1": {"activation": "swish"}},
        {"synthesis__b4__conv1": {"conv_clamp": -3.0}},
        {"mapping__fc0": {"bias_gain": "much"}},
    ],
)
def test_a_network_that_computes_otherwise_is_refused(tmp_path, change):
    (tmp_path / "net.pkl").write_bytes(pickled(whole(network(), **change)))
    with pytest.raises(VelaturaError, match="no StyleGAN2 with skip connections"):
        convert(tmp_path / "net.pkl", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"synthesis.b8.resample_filter": torch.eye(4)},
        {"synthesis.b8.skip.weight": torch.zeros(7, 8, 1, 1)},
        {"synthesis.b4.const": torch.zeros(8, 8, 8)},
        {"mapping.fc1.weight": torch.zeros(W, W + 1)},
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, change):
    torch.save(ada(network()) | change, tmp_path / "net.pt")
    with pytest.raises(VelaturaError, match="no StyleGAN2 with skip connections"):
        convert(tmp_path / "net.pt", tmp_path / "folder")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1j])
def test_weights_that_are_no_finite_numbers_are_refused(tmp_path, value):
    broken = rosinality()
    broken["style.1.weight"] = broken["style.1.weight"] * value
    torch.save({"g_ema": broken}, tmp_path / "net.pt")
    with pytest.raises(VelaturaError, match="no finite numbers"):
        converting.convert(tmp_path / "net.pt", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_no_module_of_the_folder_where_the_command_runs_is_taken_for_a_library(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    torch.save({"g_ema": rosinality()}, tmp_path / "net.pt")
    monkeypatch.chdir(tmp_path)
    converting.convert(tmp_path / "net.pt", tmp_path / "folder")
    assert not (tmp_path / "ran").exists()


def test_other_kernels_of_rosinalitys_and_stylegan3_are_refused(tmp_path):
    torch.save({"g_ema": rosinality() | {"convs.0.conv.blur.kernel": torch.ones(4, 4)}}, tmp_path / "net.pt")
    with pytest.raises(VelaturaError, match="no StyleGAN2"):
        convert(tmp_path / "net.pt", tmp_path / "folder")
    torch.save({"synthesis.L0_36_512.weight": torch.zeros(2)}, tmp_path / "three.pt")
    with pytest.raises(VelaturaError, match="is a StyleGAN3"):
        convert(tmp_path / "three.pt", tmp_path / "folder")


def test_the_command_converts_and_names_it(tmp_path, capsys):
    torch.save({"g_ema": rosinality(), "latent_avg": torch.zeros(W)}, tmp_path / "net.pt")
    models = ["models", "--state-dir", str(tmp_path / "state")]
    assert main([*models, "convert", str(tmp_path / "net.pt"), str(tmp_path / "folder")]) == 0
    assert main([*models, "add", "mine", str(tmp_path / "folder")]) == 0
    assert "mine " in capsys.readouterr().out


# Files that do harm where they are loaded without care.


class Call:
    """A pickle that calls a function, which may itself be the result of a call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        if isinstance(self.function, Call):
            return operator.call, (self.function, *self.arguments)
        return self.function, self.arguments


def raw(*lines):
    """A pickle of protocol 0, line by line."""
    return "\n".join(lines).encode() + b"\n."


HARMFUL = (
    "system",
    "eval",
    "getattr",
    "chain",
    "beside",
    "dotted",
    "instance",
    "torch",
    "persistent",
    "extension",
)


def harmful(ran):
    touch = f"touch {ran}"
    beside = whole(network())
    return {
        "system": pickle.dumps(Call(os.system, touch)),
        "eval": pickle.dumps(Call(eval, f"open({str(ran)!r}, 'w')")),
        "getattr": raw("c__builtin__", "getattr", "(cos", "system", "S'x'", "tR"),
        "chain": pickle.dumps(Call(Call(getattr, Call(__import__, "os"), "system"), touch)),
        "beside": pickled(lambda: beside() | {"more": Call(os.system, touch)}),
        "dotted": b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93)R.",
        "instance": raw("(S'" + touch + "'", "ios", "system", ""),
        "torch": pickle.dumps(Call(torch.load, str(ran))),
        "persistent": b"\x80\x04\x8c\x01xQ.",
        "extension": b"\x80\x02\x82\x01.",
    }


@pytest.mark.parametrize("name", HARMFUL)
def test_a_pickle_with_anything_else_in_it_is_refused_before_it_runs(tmp_path, name):
    ran = tmp_path / "ran"
    (tmp_path / "net.pkl").write_bytes(harmful(ran)[name])
    with pytest.raises((pickle.UnpicklingError, ValueError)), (tmp_path / "net.pkl").open("rb") as file:
        read(file)
    assert not ran.exists()


def test_it_is_refused_to_the_person_too_and_leaves_nothing(tmp_path):
    ran = tmp_path / "ran"
    (tmp_path / "net.pkl").write_bytes(harmful(ran)["beside"])
    with pytest.raises(VelaturaError, match="cannot be read as weights alone") as refusal:
        converting.convert(tmp_path / "net.pkl", tmp_path / "folder")
    assert "it names posix.system" in refusal.value.detail
    assert not ran.exists() and not (tmp_path / "folder").exists()


def test_names_are_looked_at_before_any_tensor_is_made(tmp_path, monkeypatch):
    (tmp_path / "net.pkl").write_bytes(harmful(tmp_path / "ran")["beside"])
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a storage was loaded"))
    with pytest.raises(pickle.UnpicklingError, match="it names"), (tmp_path / "net.pkl").open("rb") as file:
        read(file)


def test_code_within_the_bytes_of_a_storage_is_not_run(tmp_path):
    ran = tmp_path / "ran"
    load = torch.storage._load_from_bytes
    rebuild = torch._utils._rebuild_tensor_v2
    for inner in (pickle.dumps(Call(os.system, f"touch {ran}")), b"", b"none"):
        tensor = Call(rebuild, Call(load, inner), 0, (1,), (1,), False, {})
        (tmp_path / "net.pkl").write_bytes(pickle.dumps({"G_ema": tensor}))
        with pytest.raises((pickle.UnpicklingError, EOFError)), (tmp_path / "net.pkl").open("rb") as file:
            read(file)
    assert not ran.exists()


@pytest.mark.parametrize(
    "offset,size,stride",
    [
        (0, (2**36,), (0,)),
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (-1, (1,), (1,)),
        (0, (2, 2), (2**30, 1)),
        (0, (1.5,), (1,)),
        (0, (2, 2), (1,)),
        (0, [2], [1]),
        (True, (2,), (1,)),
    ],
)
def test_a_tensor_larger_than_its_numbers_is_refused(tmp_path, offset, size, stride):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of this storage, which is what such files hold
        storage = torch.zeros(4).storage()
        tensor = Call(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {})
        data = pickle.dumps({"G_ema": tensor})
        (tmp_path / "net.pkl").write_bytes(data)
        with pytest.raises(pickle.UnpicklingError, match="tensor"), (tmp_path / "net.pkl").open("rb") as file:
            read(file)


def test_a_file_that_asks_for_more_memory_than_it_may_is_refused(tmp_path):
    huge = b"\x80\x04\x8e" + (2**50).to_bytes(8, "little") + b"."
    (tmp_path / "net.pkl").write_bytes(huge)
    with pytest.raises(VelaturaError, match="as weights alone"):
        pickles.read(tmp_path / "net.pkl")


def test_networks_of_tensorflow_are_told_apart(tmp_path):
    (tmp_path / "net.pkl").write_bytes(b"\x80\x02" + raw("cdnnlib.tflib.network", "Network", "(tR"))
    with pytest.raises(VelaturaError, match=r"networks of TensorFlow; convert it with legacy\.py"):
        converting.convert(tmp_path / "net.pkl", tmp_path / "folder")


def test_the_process_that_reads_opens_nothing_more(tmp_path):
    program = (
        "import socket\nfrom velatura.models import pickles\npickles._warm()\npickles._close()\n"
        "for what in (lambda: open('/dev/null'), socket.socket):\n"
        "    try:\n        what()\n    except OSError as error:\n        print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["24", "24"], done.stderr
