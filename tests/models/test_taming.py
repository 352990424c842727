"""A checkpoint of taming-transformers becomes a folder for diffusers that computes the same."""

from __future__ import annotations

import pickle
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from velatura.models import catalogue, converting, converting_taming, pickles, vq
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(300)
CH, MULT, BLOCKS, ATTEND, Z, CODES, EMBED = 32, (1, 2, 2), 2, 2, 8, 16, 4


def norm(channels):
    return nn.GroupNorm(32, channels, eps=1e-6)


class Res(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.norm1, self.conv1 = norm(a), nn.Conv2d(a, b, 3, padding=1)
        self.norm2, self.conv2 = norm(b), nn.Conv2d(b, b, 3, padding=1)
        if a != b:
            self.nin_shortcut = nn.Conv2d(a, b, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attn(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = norm(c)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (f(h).flatten(2) for f in (self.q, self.k, self.v))
        A = (q.transpose(1, 2) @ k * q.shape[1] ** -0.5).softmax(-1)
        return x + self.proj_out((v @ A.transpose(1, 2)).view_as(x))


class Mid(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = Res(c, c), Attn(c), Res(c, c)

    def forward(self, x):
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    def __init__(self, a, b, blocks, attend):
        super().__init__()
        self.block = nn.ModuleList(Res(a if j == 0 else b, b) for j in range(blocks))
        self.attn = nn.ModuleList(Attn(b) for _ in range(blocks if attend else 0))

    def forward(self, x):
        for j, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[j](x)
        return x


class Resample(nn.Module):
    def __init__(self, c, stride):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, stride, padding=0 if stride == 2 else 1)

    def forward(self, x):
        if self.conv.stride == (2, 2):
            return self.conv(F.pad(x, (0, 1, 0, 1)))
        return self.conv(F.interpolate(x, scale_factor=2.0))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [CH * m for m in MULT]
        self.conv_in = nn.Conv2d(3, CH, 3, padding=1)
        self.down = nn.ModuleList(
            Level(a, b, BLOCKS, i == ATTEND)
            for i, (a, b) in enumerate(zip([CH, *widths], widths, strict=False))
        )
        for level, width in zip(self.down[:-1], widths, strict=False):
            level.downsample = Resample(width, 2)
        self.mid, self.norm_out = Mid(widths[-1]), norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], Z, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
            x = level.downsample(x) if hasattr(level, "downsample") else x
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [CH * m for m in MULT]
        self.conv_in, self.mid = nn.Conv2d(Z, widths[-1], 3, padding=1), Mid(widths[-1])
        before = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(
            Level(a, b, BLOCKS + 1, i == ATTEND) for i, (a, b) in enumerate(zip(before, widths, strict=False))
        )
        for level, width in zip(self.up[1:], widths[1:], strict=False):
            level.upsample = Resample(width, 1)
        self.norm_out, self.conv_out = norm(CH), nn.Conv2d(CH, 3, 3, padding=1)

    def forward(self, z):
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
            x = level.upsample(x) if hasattr(level, "upsample") else x
        return self.conv_out(F.silu(self.norm_out(x)))


class Quantize(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CODES, EMBED)


class Vqgan(nn.Module):
    """The network of taming-transformers with the names of its checkpoints."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.quantize = Encoder(), Decoder(), Quantize()
        self.quant_conv, self.post_quant_conv = nn.Conv2d(Z, EMBED, 1), nn.Conv2d(EMBED, Z, 1)
        self.loss = nn.ModuleDict({"discriminator": nn.Conv2d(3, 4, 4)})

    def encode(self, x):
        return self.quant_conv(self.encoder(x))

    def decode(self, z):
        codes = self.quantize.embedding.weight
        nearest = (z.movedim(1, -1)[..., None, :] - codes).square().sum(-1).argmin(-1)
        return self.decoder(self.post_quant_conv(codes[nearest].movedim(-1, 1)))


@pytest.fixture(scope="module")
def vqgan():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Vqgan().eval()


def test_the_converted_network_gives_the_same_latents_and_pictures(vqgan, tmp_path):
    torch.save({"state_dict": vqgan.state_dict(), "epoch": 3, "global_step": 7}, tmp_path / "last.ckpt")
    converting.convert(tmp_path / "last.ckpt", tmp_path / "folder")
    entry = catalogue.add(tmp_path / "state", "mine", str(tmp_path / "folder"))
    assert (entry.generator, entry.size) == ("vq", 256)
    model = vq.load(tmp_path / "folder", "mine", "digest", torch.device("cpu"), torch.float32)
    x = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0
    with torch.no_grad():
        z = vqgan.encode(x)
        torch.testing.assert_close(model.encode(x), z, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(model.decode(z), vqgan.decode(z).clamp(-1.0, 1.0), rtol=1e-5, atol=1e-5)
    with pytest.raises(VelaturaError, match="files already"):
        converting_taming.convert(tmp_path / "last.ckpt", tmp_path / "folder")


def test_a_trainers_objects_beside_the_weights_do_no_harm(vqgan, tmp_path, monkeypatch):
    module = types.ModuleType("pytorch_lightning.callbacks")
    monkeypatch.setitem(sys.modules, "pytorch_lightning", types.ModuleType("pytorch_lightning"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    saved = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = saved
    callback = saved()
    callback.best = 1.0
    torch.save({"state_dict": vqgan.state_dict(), "callbacks": {saved: callback}}, tmp_path / "last.ckpt")
    converting_taming.convert(tmp_path / "last.ckpt", tmp_path / "folder")
    assert vq.recognise(tmp_path / "folder") == 256


class Runs:
    """A pickle that runs code where it is loaded without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"state_dict": {}, "more": Runs(tmp_path / "ran")}, tmp_path / "bad.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    for name in ("bad.ckpt", "plain.ckpt"):
        with pytest.raises(VelaturaError, match="as weights alone"):
            converting_taming.convert(tmp_path / name, tmp_path / "folder")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "folder").exists()


def test_a_file_that_is_not_there_and_a_full_folder_are_told_before_anything_is_read(tmp_path, monkeypatch):
    with pytest.raises(VelaturaError, match="There is no file"):
        converting.convert(tmp_path / "missing.ckpt", tmp_path / "folder")
    monkeypatch.setattr(pickles, "read", lambda *_: pytest.fail("the checkpoint was read"))
    (tmp_path / "some.ckpt").touch()
    for full in (tmp_path, tmp_path / "some.ckpt"):
        with pytest.raises(VelaturaError, match="has files already; name a new folder"):
            converting.convert(tmp_path / "some.ckpt", full)


def test_safetensors_are_converted_too(vqgan, tmp_path):
    save_file(vqgan.state_dict(), tmp_path / "vq.safetensors")
    converting.convert(tmp_path / "vq.safetensors", tmp_path / "folder")
    assert vq.recognise(tmp_path / "folder") == 256
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(VelaturaError, match="fetch it again"):
        converting.convert(tmp_path / "broken.safetensors", tmp_path / "other")


def test_other_weights_are_refused(tmp_path):
    torch.save({"state_dict": {"layer.weight": torch.zeros(2)}}, tmp_path / "other.ckpt")
    with pytest.raises(VelaturaError, match="no VQGAN"):
        converting_taming.convert(tmp_path / "other.ckpt", tmp_path / "folder")
